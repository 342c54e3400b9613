"""Serving: the gateway, a worker, the sandbox, each as its own process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from naru import heap, logs
from naru.settings import Settings

# The gateway is imported where it is served: the sandbox is another program, and half the size without it.
if TYPE_CHECKING:
    from naru.app import Parts

REQUEST_S = 30.0
"""How long a client may take to say its request, head and body; a connection that says nothing ends sooner too."""
SWITCH_S = 0.001
WHOLE = "naru.whole"
"""The name under which a request's scope has `Protocol.answer`, among its extensions."""


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with two things more: a time limit for the client (slow ones would hold connections for
    ever), and answers that are whole when they come: head and body leave in one call to the system, not in two.
    """

    _patience: asyncio.TimerHandle | None = None
    _unsent: list[bytes]
    _since: float | None = None
    """When the client began to owe us (the rest of) a request; None while it does not."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._unsent = []
        self._since = self.loop.time()
        self._patience = self.loop.call_later(REQUEST_S, self._look)

    def _flush(self) -> None:
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            if not self.transport.is_closing():
                self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._flush()
        super().data_received(data)

    def shutdown(self) -> None:
        self._flush()
        super().shutdown()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._since = self.loop.time()
        self.scope["extensions"] = {WHOLE: self.answer}  # pyright: ignore[reportGeneralTypeIssues] - one of our own

    def answer(self, scope: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send a whole answer, *headers* in lower case and `content-length` among them.

        False where that takes more than writing it: for `HEAD`, for a connection that is to be closed, by one that has
        much to read still, and in a row of requests sent at once. Then nothing was sent.
        """
        cycle = self.cycle
        if (
            cycle.scope is not scope or cycle.response_started or cycle.disconnected or not cycle.keep_alive
            or self.flow.write_paused or scope["method"] == "HEAD"
        ):  # fmt: skip
            return False
        lines = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            lines += (name, b": ", value, b"\r\n")
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
        lines += (b"\r\n", body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.expected_content_length = 0
        # Not at once: whoever reads it is woken by the first of the answers that are ready in this turn of the loop,
        # and is awake for the others. Waking somebody costs as much as half a look-up.
        self._unsent.append(b"".join(lines))
        self.loop.call_soon(self._flush)
        cycle.message_event.set()
        cycle.on_response()
        return True

    def on_message_complete(self) -> None:
        self._since = None
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        super().connection_lost(exc)

    def _look(self) -> None:
        """One timer for each connection, not for each request: set again to where the client's time would be up."""
        self._patience = None
        if self._since is None:
            left = REQUEST_S
        else:
            left = self._since + REQUEST_S - self.loop.time()
            if left <= 0:
                self.transport.close()
                return
        self._patience = self.loop.call_later(left, self._look)


class UnsafeSettings(SystemExit):
    """Refusal to serve; the text says why."""


async def refuse_unsafe(parts: Parts) -> None:
    """Refuse published credentials, published keys on a live channel, and a wrong master key."""
    from naru.service import setup
    from naru.store import stores

    await setup.check_master_key(parts.cx)
    problems = setup.unsafe_for_production(
        await parts.db.read(stores.all_stores), await parts.db.read(stores.all_channels, parts.cx.vault)
    )
    if problems:
        raise UnsafeSettings("naru: " + "\nnaru: ".join(problems))


async def say_first_address(parts: Parts) -> None:
    """While the console has no user: print the one-time address behind which the first one is made."""
    from naru.service import console_access

    address = await console_access.first_address(parts.cx)
    if address is not None:
        print(  # noqa: T201 - for the person who starts it
            f"\n콘솔의 첫 관리자를 만드는 주소입니다 (24시간, 한 번). Set up the console (24 h, once):\n  {address}\n",
            flush=True,
        )


def serve(settings: Settings) -> None:
    """Serve the gateway until SIGTERM; requests under way are finished first."""
    from naru.app import build

    logs.set_up(level=settings.log_level, as_json=settings.log_json, for_good=True)
    # A commit that is done, in its thread, waits so long at most until a busy event loop lets it say so.
    sys.setswitchinterval(SWITCH_S)
    uvicorn.run(
        build(settings, on_open=lambda _parts: heap.loaded()),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=Protocol,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies) or None,
        timeout_graceful_shutdown=35,
        timeout_keep_alive=5,
        h11_max_incomplete_event_size=64 * 1024,
    )


def work(settings: Settings) -> None:
    """Run jobs until SIGTERM."""
    from naru.app import open_parts

    logs.set_up(level=settings.log_level, as_json=settings.log_json, for_good=True)

    async def run() -> None:
        parts = await open_parts(settings)
        heap.loaded()
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sig, parts.runner.stop)
        try:
            await parts.runner.run()
        finally:
            await parts.close()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


def serve_sandbox(
    host: str,
    port: int,
    data_dir: Path,
    *,
    gateway_url: str,
    night_cancel: bool,
    log_level: str,
    delay_ms: int = 0,
    lenient: bool = False,
    open_control: bool = False,
    allow_reset: bool = False,
) -> None:
    """Serve the Hecto sandbox until SIGTERM. Deposits that name no address are told to the gateway."""
    heap.loading()
    from naru.sandbox.hecto import server

    heap.loaded()

    logs.set_up(level=log_level, as_json=False)
    data_dir.mkdir(parents=True, exist_ok=True)
    server.serve(
        server.Settings(
            book=data_dir / "sandbox.db",
            public_url=f"http://{host}:{port}",
            vbank_noti_url=f"{gateway_url}/settle_payments/notice_vbank",
            night_cancel=night_cancel,
            delay_ms=delay_ms,
            lenient=lenient,
            control_open=open_control,
            reset_allowed=allow_reset,
        ),
        host,
        port,
    )
