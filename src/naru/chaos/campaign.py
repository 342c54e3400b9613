"""`naru dev --chaos SEED`: a campaign from its first order to the comparison of the books."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from naru import dev, logs
from naru.app import open_parts
from naru.chaos import audit as books
from naru.chaos.plan import Kill, Plan, Round, draw
from naru.chaos.shop import Shop
from naru.chaos.town import Town
from naru.domain.values import DAY, HOUR
from naru.service import setup
from naru.store import migrate

TIME_PASSES_MS = DAY + 6 * HOUR
"""Longer than webhooks and notis are repeated."""
ROUND_S = 180.0
TICK_S = 1.0
TICK_MS = 8_000
"""While orders are made time runs eight times as fast, so that whoever waits for a lost answer is served."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a campaign runs."""

    directory: Path
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    sandbox_port: int = 8001
    shop_port: int = 8002
    second_port: int = 8003
    restart_database: Callable[[], None] | None = None


class Campaign:
    """One run."""

    def __init__(self, where: Where, seed: int, orders: int) -> None:
        url = where.database_url or f"sqlite:///{(where.directory / 'naru.db').resolve()}"
        self.town = Town(
            where.directory, url, where.host, where.port, where.sandbox_port, where.shop_port, where.second_port,
            where.restart_database,
        )  # fmt: skip
        self.shop = Shop(self.town, setup.DEV_IMP_KEY, setup.DEV_IMP_SECRET)
        self.plan: Plan = draw(seed, orders, self.town.names)
        self.faults = 0

    async def run(self, say: Callable[[str], None]) -> books.Audit:
        """Play every round, let time pass, compare."""
        town = self.town
        await self.shop.open()
        watch: asyncio.Task[None] | None = None
        try:
            await town.start_all()
            watch = asyncio.create_task(town.watch())
            for number, round_ in enumerate(self.plan.rounds, start=1):
                await self._round(round_)
                deaths = sum(town.deaths.values())
                say(f"round {number}/{len(self.plan.rounds)}: {len(self.shop.told)} orders, {deaths} deaths")
            await self._settle_down()
            town.closing = True
            await watch
            await town.stop(*(n for n in town.running if n != "sandbox"))
            parts = await open_parts(dev.settings_of(town.directory))
            try:
                found = await books.audit(parts, self.shop, town.sandbox_url, town.directory)
            finally:
                await parts.close()
            found.figures.update({f"kill -9 {name}": n for name, n in town.deaths.items()})
            found.figures["faults"] = self.faults
            return found
        finally:
            town.closing = True
            if watch is not None:
                watch.cancel()
            await town.stop()
            await self.shop.close()

    async def _round(self, round_: Round) -> None:
        self.shop.statuses = list(round_.hook_statuses)
        await self._misbehave(round_)
        work = [self.shop.order(order) for order in round_.orders] + [self._kill(kill) for kill in round_.kills]
        ticking = asyncio.create_task(self._tick())
        try:
            await asyncio.wait_for(asyncio.gather(*work), ROUND_S)
        finally:
            ticking.cancel()
        if round_.then_ms:
            await self._pass_time(round_.then_ms)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self._pass_time(TICK_MS)

    async def _kill(self, kill: Kill) -> None:
        await asyncio.sleep(kill.after_s)
        await self.town.kill(kill.victim, kill.next_crash_at)

    async def _misbehave(self, round_: Round) -> None:
        for fault in round_.faults:
            if await self._post(f"{self.town.sandbox_url}/_sandbox/faults", fault) is not None:
                self.faults += 1

    async def _settle_down(self) -> None:
        """No more faults, nobody dies, everybody answers; then a day passes."""
        self.shop.statuses = []
        for name in list(self.town.running):
            await self.town.kill(name)  # and whoever was to die at a point is replaced by one who is not
        async with aiohttp.ClientSession() as session, session.delete(f"{self.town.sandbox_url}/_sandbox/faults"):
            pass
        if self.town.many:
            await self.town.stop("gateway-2", "worker")
        for _ in range(TIME_PASSES_MS // HOUR):
            if not await self._pass_time(HOUR):
                raise RuntimeError("time does not pass although nobody is killed any more")

    async def _pass_time(self, ms: int) -> bool:
        """Move the clocks of gateway and sandbox. During a round it may fail: somebody is dying."""
        return await self._post(f"{self.town.gateways[0]}/_dev/clock", {"advance_ms": ms}) is not None

    async def _post(self, url: str, body: dict[str, Any]) -> Any:
        timeout = aiohttp.ClientTimeout(total=120)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=body) as answer:
                return await answer.json(content_type=None) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError):
            return None


def run(where: Where, *, seed: int, payments: int, say: Callable[[str], None] = print) -> int:
    """Run a campaign in an empty directory; 0 when the books agree. On failure the directory stays."""
    directory = where.directory
    if (directory / "plan.json").exists():
        shutil.rmtree(directory)
    if directory.exists() and any(directory.iterdir()):
        say(f"naru: {directory} is not empty and no campaign's")
        return 2
    directory.mkdir(parents=True, exist_ok=True)
    made = Campaign(where, seed, payments)
    (directory / "plan.json").write_text(json.dumps(asdict(made.plan), ensure_ascii=False, indent=1))
    migrate.migrate(made.town.database_url)
    made.town.prepare()
    logs.set_up(level="critical")
    started = time.monotonic()
    say(f"seed {seed}: {made.plan.orders} orders, plan in {directory / 'plan.json'}")
    found = asyncio.run(made.run(say))
    for name, figure in sorted(found.figures.items()):
        say(f"  {name:28} {figure:>8}")
    say(f"  {'seconds':28} {time.monotonic() - started:>8.0f}")
    if found.problems:
        say(f"{len(found.problems)} problems with seed {seed}; everything is kept in {directory}:")
        for problem in found.problems[:50]:
            say(f"  {problem}")
        return 1
    say("the books agree: nothing lost, doubled, over-refunded or unknown; every webhook was delivered.")
    shutil.rmtree(directory)
    return 0
