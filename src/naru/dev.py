"""`naru dev`: gateway, sandbox and demo shop as three processes, and one screen that says what to try."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from naru import heap
from naru.settings import Settings, key_from_hex

READY_S = 30.0


def _write_private(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)


def settings_of(data_dir: Path) -> Settings:
    """The settings of the development servers that use this directory."""
    given = json.loads((data_dir / "dev.json").read_text("utf-8"))
    return Settings(
        database_url=given["database_url"],
        master_key=key_from_hex((data_dir / "master.key").read_text("ascii")),
        public_url=f"http://{given['host']}:{given['port']}",
        development=True,
        host=given["host"],
        port=given["port"],
        sandbox_url=f"http://{given['host']}:{given['sandbox_port']}",
        shop_url=f"http://{given['host']}:{given['shop_port']}",
        log_level=given["log_level"],
        log_json=False,
        crash_at=os.environ.get("NARU_CRASH_AT", ""),
        metrics_port=int(os.environ.get("NARU_METRICS_PORT", "0")),
        request_log=os.environ.get("NARU_REQUEST_LOG", "1") not in ("0", "false", "no", "off"),
        **given.get("limits", {}),
    )


def serve_gateway(data_dir: Path, log_level: str, port: int | None = None) -> None:
    """The gateway process: makes the development store if need be, then serves (on another *port* than the first)."""
    heap.loading()
    from dataclasses import replace

    from naru import serving
    from naru.app import open_parts
    from naru.service import console_access, setup

    settings = settings_of(data_dir)
    settings = replace(settings, log_level=log_level, port=port or settings.port)

    async def prepare() -> None:
        parts = await open_parts(settings)
        try:
            await setup.check_master_key(parts.cx)
            await setup.ensure_dev_store(parts.cx, f"{settings.shop_url}/webhook")
            await console_access.ensure_dev_user(parts.cx)
        finally:
            await parts.close()

    asyncio.run(prepare())
    serving.serve(settings)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:  # noqa: S310 - our own loopback address
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def run(
    *, host: str, port: int, sandbox_port: int, shop_port: int, data_dir: Path, database_url: str | None,
    night_cancel: bool, log_level: str,
) -> int:  # fmt: skip
    """Start everything, print the screen, wait; any process that ends takes the others with it."""
    from naru.store import migrate

    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / "master.key").exists():
        _write_private(data_dir / "master.key", secrets.token_hex(32) + "\n")
    url = database_url or f"sqlite:///{(data_dir / 'naru.db').resolve()}"
    given = {
        "database_url": url, "host": host, "port": port, "sandbox_port": sandbox_port, "shop_port": shop_port,
        "log_level": log_level,
    }  # fmt: skip
    _write_private(data_dir / "dev.json", json.dumps(given))
    if asyncio.run(migrate.check(url)) != "current":
        migrate.migrate(url)
    naru = [sys.executable, "-m", "naru"]
    at = ["--data-dir", str(data_dir)]
    sandbox = [*naru, "sandbox", "--host", host, "--port", str(sandbox_port), *at, "--log-level", log_level]
    gateway_url, shop_url = f"http://{host}:{port}", f"http://{host}:{shop_port}"
    sandbox += ["--gateway-url", gateway_url]
    if night_cancel:
        sandbox.append("--night-cancel")
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    shop = [sys.executable, "-m", "naru.demo", "--host", host, "--port", str(shop_port), "--gateway", gateway_url, *at]
    # Not by way of the command line, which takes a tenth of a second to read two options.
    gateway = [sys.executable, "-m", "naru.dev", str(data_dir), log_level]
    commands = {"gateway": gateway, "sandbox": sandbox, "shop": shop}
    started = time.monotonic()
    # Their own sessions: a Ctrl-C in the terminal reaches this process only, which then ends them in order.
    children: dict[str, subprocess.Popen[bytes]] = {}

    def start(*names: str) -> None:
        for name in names:
            children[name] = subprocess.Popen(commands[name], env=env, start_new_session=True)  # noqa: S603

    # On two cores three programs that load at once are all late: the shop, which needs the others, comes last.
    start("gateway", "sandbox")

    def end(_signal: int = 0, _frame: object = None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        waiting = {gateway_url, f"http://{host}:{sandbox_port}", shop_url}
        while waiting:
            waiting = {u for u in waiting if not _ready(u)}
            if gateway_url not in waiting and "shop" not in children:
                start("shop")
            for name, child in children.items():
                if child.poll() is not None:
                    print(f"naru: {name} ended with {child.returncode}", file=sys.stderr)
                    return 1
            if time.monotonic() - started > READY_S:
                print(f"naru: not ready after {READY_S:.0f} s: {', '.join(sorted(waiting))}", file=sys.stderr)
                return 1
            if waiting:
                time.sleep(0.05)
        print_screen(data_dir, time.monotonic() - started)
        while True:
            for name, child in children.items():
                if child.poll() is not None:
                    print(f"naru: {name} ended with {child.returncode}", file=sys.stderr)
                    return 1
            time.sleep(0.3)
    except KeyboardInterrupt:
        return 0
    finally:
        for child in children.values():
            if child.poll() is None:
                child.terminate()
        for child in children.values():
            try:
                child.wait(40)
            except subprocess.TimeoutExpired:
                child.kill()


def print_screen(data_dir: Path, took_s: float) -> None:
    """Addresses, credentials, channels, a ready header, three things to try."""
    from naru.service import console_access, setup

    settings = settings_of(data_dir)
    token = _token(settings, setup.DEV_IMP_KEY, setup.DEV_IMP_SECRET)
    base, card = settings.public_url, "4111-1111-1111-1111"
    print(
        f"""
나루 Naru  ready in {took_s:.1f} s

  게이트웨이  gateway   {base}
  헥토 샌드박스 sandbox   {settings.sandbox_url}
  데모 상점   shop      {settings.shop_url}
  결제 시험장  play      {base}/playground
  콘솔      console   {base}/console   {console_access.DEV_EMAIL} / {console_access.DEV_PASSWORD}

  식별코드 imp code    {setup.DEV_IMP_CODE}
  imp_key            {setup.DEV_IMP_KEY}
  imp_secret         {setup.DEV_IMP_SECRET}

  채널 channels
    channel-key-dev-window           portone1    결제창 (기본 창)
    channel-key-dev-keyin            nxca_jt_bi  API 카드번호+유효기간 (기본 API)
    channel-key-dev-keyin-auth       nxca_ks_gu  API +생년월일+비밀번호
    channel-key-dev-split            nxca_jt_hd  결제창, 인증-승인 분리
    channel-key-dev-vbank            nxva_fix    고정식 가상계좌
    channel-key-dev-vbank-unlimited  nxva_fix2   고정식 무제한 가상계좌

  Authorization: Bearer {token}

  1. 결제  pay
     curl {base}/subscribe/payments/onetime -H "Authorization: Bearer {token}" \\
       -d merchant_uid=order-1 -d amount=1004 -d name=테스트 -d card_number={card} -d expiry=2030-12
  2. 부분취소  cancel part of it
     curl {base}/payments/cancel -H "Authorization: Bearer {token}" -d merchant_uid=order-1 -d amount=304 -d reason=변심
  3. 장부 확인  both sides' books
     .venv/bin/naru doctor --data-dir {data_dir} ;  {settings.sandbox_url}/

  멈추기: Ctrl-C
""",
        flush=True,
    )


def _token(settings: Settings, key: str, secret: str) -> str:
    body = json.dumps({"imp_key": key, "imp_secret": secret}).encode()
    request = urllib.request.Request(f"{settings.public_url}/users/getToken", data=body)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read())["response"]["access_token"]  # type: ignore[no-any-return]


if __name__ == "__main__":
    serve_gateway(Path(sys.argv[1]), sys.argv[2])
