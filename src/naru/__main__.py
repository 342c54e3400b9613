"""The command line: dev, init, serve, worker, sandbox, migrate, doctor, channel, account, token, trigger, clock."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import cyclopts
from cyclopts import Parameter

from naru import heap
from naru import settings as cfg

if TYPE_CHECKING:
    from naru.app import Parts

T = TypeVar("T")

app = cyclopts.App(
    name="naru", help="PortOne V1 호환 결제 게이트웨이. A self-hosted payment gateway.", version_flags=["--version"]
)
channel_app = cyclopts.App(name="channel", help="채널(계약) 관리. Channels.")
trigger_app = cyclopts.App(name="trigger", help="샌드박스에 사건 일으키기. Make something happen in the sandbox.")
account_app = cyclopts.App(
    name="account", help="결과를 모르는 가상계좌 발급. Account issues nobody knows the result of."
)
user_app = cyclopts.App(name="user", help="콘솔 사용자. Who may enter the console.")
clock_app = cyclopts.App(name="clock", help="개발용 시계. The development clock.")
app.command(channel_app)
app.command(trigger_app)
app.command(account_app)
app.command(user_app)
app.command(clock_app)

DataDir = Annotated[Path, Parameter(help="키와 SQLite 파일의 위치. Where the master key and the SQLite file live.")]
DATA_DIR = Path(".naru")


def _die(text: str) -> None:
    print(f"naru: {text}", file=sys.stderr)
    raise SystemExit(1)


def _settings(data_dir: Path, **given: object) -> cfg.Settings:
    """Production settings; in a development directory, the development ones."""
    env = cfg.environment()
    if (data_dir / "dev.json").exists() and "NARU_PUBLIC_URL" not in env:
        from naru import dev

        return dev.settings_of(data_dir)
    try:
        return cfg.from_env(env, data_dir, **given)
    except cfg.SettingsError as e:
        _die(str(e))
        raise


def _with_parts(settings: cfg.Settings, work: Callable[[Parts], Awaitable[T]]) -> T:
    from naru import logs
    from naru.app import open_parts
    from naru.domain.refusal import Refused
    from naru.store.db import Unavailable
    from naru.store.migrate import WrongSchema
    from naru.store.vault import WrongMasterKey

    logs.set_up(level="warning", as_json=False)

    async def run() -> T:
        parts = await open_parts(settings)
        try:
            return await work(parts)
        finally:
            await parts.close()

    try:
        return asyncio.run(run())
    except Refused as refusal:
        from naru.api.answers import words

        _die(words(refusal))
    except WrongSchema as e:
        _die(f"{e} (naru migrate)")
    except WrongMasterKey:
        _die("마스터 키가 이 데이터베이스의 것이 아닙니다. The master key is not this database's.")
    except Unavailable as e:
        _die(f"데이터베이스를 열 수 없습니다. The database cannot be opened: {e}")
    raise AssertionError


@app.command
def dev(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    sandbox_port: int = 8001,
    shop_port: int = 8002,
    data_dir: DataDir = DATA_DIR,
    database_url: str | None = None,
    night_cancel: bool = False,
    log_level: str = "warning",
    chaos: int | None = None,
    payments: int = 120,
) -> None:
    """Start gateway, sandbox and demo shop for development, and print what to try.

    With --chaos SEED: run a campaign of that many payments instead, with faults and kill -9, and compare the books.
    """
    from naru import dev as development

    if chaos is not None:
        from naru.chaos import campaign

        at = campaign.Where(data_dir / f"chaos-{chaos}", database_url, host, port, sandbox_port, shop_port)
        raise SystemExit(campaign.run(at, seed=chaos, payments=payments))

    raise SystemExit(
        development.run(
            host=host, port=port, sandbox_port=sandbox_port, shop_port=shop_port, data_dir=data_dir,
            database_url=database_url, night_cancel=night_cancel, log_level=log_level,
        )
    )  # fmt: skip


@app.command(name="_gateway", show=False)
def _gateway(*, data_dir: DataDir = DATA_DIR, log_level: str = "warning", port: int | None = None) -> None:
    """The gateway process of `naru dev`."""
    from naru import dev as development

    development.serve_gateway(data_dir, log_level, port)


@app.command
def init(*, name: str = "내 상점", webhook_url: str | None = None, data_dir: DataDir = DATA_DIR) -> None:
    """Make the master key, the database and the first store; keys are printed once."""
    from naru.service import setup
    from naru.store.migrate import MigrationFailed, migrate

    env = cfg.environment()
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir.chmod(0o700)
    if cfg.read_master_key(env, data_dir) is None:
        descriptor = os.open(data_dir / "master.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        print(
            f"마스터 키를 만들었습니다: {data_dir / 'master.key'} (백업과 따로 보관하세요. Keep it apart from backups.)"
        )
    settings = cfg.from_env({"NARU_PUBLIC_URL": "http://localhost:8000", **env}, data_dir)
    try:
        migrate(settings.database_url)
    except MigrationFailed as e:
        _die(str(e))

    async def make(parts: Parts) -> setup.NewStore:
        await setup.check_master_key(parts.cx)
        return await setup.make_store(parts.cx, name, webhook_url)

    store = _with_parts(settings, make)
    print(
        f"상점 '{name}'을 만들었습니다. 아래 값은 다시 볼 수 없습니다. These are shown once.\n"
        f"  고객사 식별코드 (imp code)      {store.imp_code}\n"
        f"  REST API 키 (imp_key)          {store.imp_key}\n"
        f"  REST API secret (imp_secret)   {store.imp_secret}\n"
        f"  웹훅 서명 비밀값 (whsec)         {store.webhook_secret}\n"
        f"다음: naru channel add --store {store.imp_code} …, 그리고 NARU_PUBLIC_URL=https://… naru serve"
    )


@app.command
def migrate(*, data_dir: DataDir = DATA_DIR) -> None:
    """Bring the database to this version."""
    from naru.store.migrate import MigrationFailed
    from naru.store.migrate import migrate as run

    env = cfg.environment()
    url = env.get("NARU_DATABASE_URL") or f"sqlite:///{(data_dir / 'naru.db').resolve()}"
    try:
        run(url)
    except MigrationFailed as e:
        _die(str(e))
    print("데이터베이스가 최신입니다. The database is up to date.")


@app.command
def serve(*, host: str = "127.0.0.1", port: int = 8000, data_dir: DataDir = DATA_DIR) -> None:
    """Serve in production, jobs included. Refuses published credentials and missing settings."""
    heap.loading()
    from naru import serving

    try:
        settings = cfg.from_env(cfg.environment(), data_dir, host=host, port=port)
    except cfg.SettingsError as e:
        _die(str(e))
        return
    _with_parts(settings, serving.refuse_unsafe)
    _with_parts(settings, serving.say_first_address)
    serving.serve(settings)


@app.command
def worker(*, data_dir: DataDir = DATA_DIR) -> None:
    """Run jobs only, beside other processes on one PostgreSQL."""
    heap.loading()
    from naru import serving

    settings = _settings(data_dir)
    if not settings.database_url.startswith("postgresql"):
        _die("`naru worker`는 PostgreSQL에서만 씁니다. SQLite에서는 `naru serve`가 작업도 처리합니다.")
    serving.work(settings)


@app.command
def sandbox(
    *,
    host: str = "127.0.0.1",
    port: int = 8001,
    data_dir: DataDir = DATA_DIR,
    gateway_url: str = "http://127.0.0.1:8000",
    night_cancel: bool = False,
    delay_ms: int = 0,
    lenient: bool = False,
    open_control: bool = False,
    allow_reset: bool = False,
    log_level: str = "info",
) -> None:
    """Serve the Hecto sandbox alone. Deposits to accounts without a notice address are told to the gateway's.

    Parameters
    ----------
    delay_ms
        Every API answer takes at least this long.
    lenient
        Take plain text where Hecto expects AES, as its test hosts do.
    open_control
        Let other machines use the control API and its page.
    allow_reset
        Let POST /_sandbox/reset forget the book.
    """
    from naru import serving

    serving.serve_sandbox(
        host, port, data_dir, gateway_url=gateway_url, night_cancel=night_cancel, log_level=log_level,
        delay_ms=delay_ms, lenient=lenient, open_control=open_control, allow_reset=allow_reset,
    )  # fmt: skip


@app.command
def doctor(*, data_dir: DataDir = DATA_DIR) -> None:
    """Check the books, and whether Hecto reaches us. Ends with 1 when the books are wrong."""
    from naru.service import deposits
    from naru.service import doctor as checks

    settings = _settings(data_dir)

    async def look(parts: Parts) -> tuple[list[checks.Problem], list[deposits.Silent]]:
        return await checks.examine(parts.cx), await deposits.silent_channels(parts.cx)

    problems, silent = _with_parts(settings, look)
    for p in problems:
        print(f"{p.kind:16} {p.imp_uid or '-':20} {p.text}")
    for channel in silent:
        print(f"{'notice_never':16} {channel.channel_key} {channel.text}")
    where = settings.database_url.rpartition("@")[2]
    print(f"{where}: {'이상 없음. The books are right.' if not problems else f'{len(problems)}건의 문제가 있습니다.'}")
    raise SystemExit(1 if problems else 0)


@app.command
def backup(file: Path | None = None, *, data_dir: DataDir = DATA_DIR) -> None:
    """Copy the whole database into a file while it serves. The master key is not in it: keep that apart."""
    from naru.clock import SystemClock
    from naru.domain.values import kst_stamp
    from naru.store import backup as copies
    from naru.store.db import Unavailable

    settings = _settings(data_dir)
    ending = "db" if settings.database_url.startswith("sqlite:") else "zip"
    target = file or data_dir / "backups" / f"naru-{kst_stamp(SystemClock()())}.{ending}"
    try:
        size = asyncio.run(copies.backup(settings.database_url, target))
    except (copies.BadBackup, Unavailable) as e:
        _die(str(e))
        return
    print(f"{target} ({size:,} bytes). 마스터 키는 들어 있지 않습니다. The master key is not in it.")


@app.command
def restore(file: Path, *, replace: bool = False, data_dir: DataDir = DATA_DIR) -> None:
    """Bring a backup back. Stop the server first; --replace moves a SQLite database that is there aside."""
    from naru.store import backup as copies
    from naru.store.db import Unavailable
    from naru.store.migrate import MigrationFailed, WrongSchema
    from naru.store.vault import Vault, WrongMasterKey

    settings = _settings(data_dir)
    try:
        aside = asyncio.run(copies.restore(settings.database_url, file, Vault(settings.master_key), replace=replace))
    except WrongMasterKey:
        _die("마스터 키가 이 백업의 것이 아닙니다. The master key is not this backup's.")
        return
    except WrongSchema as e:
        _die(f"{e}. 백업을 만든 버전의 나루로 복원한 뒤 올리세요. Restore with the version that made it, then update.")
        return
    except (copies.BadBackup, Unavailable, MigrationFailed) as e:
        _die(str(e))
        return
    moved = f" 전의 데이터베이스: {aside}" if aside else ""
    print(
        f"복원했습니다. Restored.{moved}\n"
        "다음: naru doctor, naru serve. 백업 뒤의 거래는 헥토파이낸셜 거래대사와 맞춰 보세요."
    )


@app.command
def alarm(*, data_dir: DataDir = DATA_DIR) -> None:
    """Try where alarms go: NARU_ALARM_WEBHOOK, and NARU_ALARM_EMAIL over NARU_SMTP_URL (from NARU_ALARM_FROM)."""

    async def work(parts: Parts) -> list[str]:
        if not parts.crier.bell.rings:
            _die("알림을 받을 곳이 없습니다. Set NARU_ALARM_WEBHOOK, or NARU_ALARM_EMAIL and NARU_SMTP_URL.")
        return await parts.crier.try_out(parts.cx)

    problems = _with_parts(_settings(data_dir), work)
    print("시험 알림을 보냈습니다. A test alarm was sent." if not problems else "\n".join(problems))
    raise SystemExit(1 if problems else 0)


@app.command
def token(*, data_dir: DataDir = DATA_DIR, imp_key: str | None = None, imp_secret: str | None = None) -> None:
    """Print a ready Authorization header (development: without credentials)."""
    from naru.service import access, setup

    settings = _settings(data_dir)
    if settings.development:
        imp_key, imp_secret = imp_key or setup.DEV_IMP_KEY, imp_secret or setup.DEV_IMP_SECRET
    issued = _with_parts(settings, lambda parts: access.get_token(parts.cx, imp_key, imp_secret))
    print(f"Authorization: Bearer {issued.text}")


@channel_app.command(name="list")
def channel_list(*, data_dir: DataDir = DATA_DIR) -> None:
    """List channels in order."""
    from naru.store import stores

    async def work(parts: Parts) -> None:
        names = {s.id: s.imp_code for s in await parts.db.read(stores.all_stores)}
        for c in await parts.db.read(stores.all_channels, parts.cx.vault):
            marks = " ".join(["기본" if c.is_default else "", "중지" if c.disabled else ""]).strip()
            print(
                f"{names[c.store_id]}  {c.key:34}  {c.environment:8} {c.use:7} {c.mid:12} "
                f"{c.credentials or '-':16} {c.name} {marks}"
            )

    _with_parts(_settings(data_dir), work)


@channel_app.command(name="add")
def channel_add(
    *,
    store: str,
    name: str,
    mid: str,
    use: Literal["window", "api"],
    environment: Literal["sandbox", "test", "live"] = "sandbox",
    credentials: Literal["", "card", "card_birth", "card_birth_pwd"] = "",
    flag: list[str] | None = None,
    account: list[str] | None = None,
    merchant_name: str = "상점",
    merchant_name_en: str = "Shop",
    default: bool = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Add a channel. Its keys are read from NARU_HASH_KEY and NARU_AES_KEY, so that no shell history keeps them."""
    from naru.domain.channel import Credentials, Environment, Use
    from naru.service import setup
    from naru.store import stores

    env = cfg.environment()

    async def work(parts: Parts) -> str:
        found = await parts.db.read(stores.store_by_code, store)
        if found is None:
            _die(f"상점이 없습니다: {store}")
        assert found is not None
        return await setup.add_channel(
            parts.cx, store_id=found.id, name=name, environment=Environment(environment), mid=mid, use=Use(use),
            hash_key=env.get("NARU_HASH_KEY"), aes_key=env.get("NARU_AES_KEY"), credentials=Credentials(credentials),
            flags=dict.fromkeys(flag or [], True), accounts=account, merchant_name=merchant_name,
            merchant_name_en=merchant_name_en, default=default,
        )  # fmt: skip

    print(_with_parts(_settings(data_dir), work))


@channel_app.command(name="default")
def channel_default(channel_key: str, *, data_dir: DataDir = DATA_DIR) -> None:
    """Make a channel the default of its use (window or api)."""
    from naru.store import stores

    async def work(parts: Parts) -> None:
        for c in await parts.db.read(stores.all_channels, parts.cx.vault):
            if c.key == channel_key:
                await parts.db.write(stores.make_default, c.id, c.store_id, c.use)
                print(f"{c.name}: 기본 채널로 지정했습니다.")
                return
        _die(f"채널이 없습니다: {channel_key}")

    _with_parts(_settings(data_dir), work)


@channel_app.command(name="check")
def channel_check(channel_key: str, *, data_dir: DataDir = DATA_DIR) -> None:
    """Prove a channel's keys with a harmless signed inquiry at Hecto."""
    from naru.service import channels

    async def work(parts: Parts) -> channels.Checked:
        return await channels.check(parts.cx, channel_key)

    result = _with_parts(_settings(data_dir), work)
    print(result.text)
    raise SystemExit(0 if result.good else 1)


@account_app.command(name="unknown")
def account_unknown(*, data_dir: DataDir = DATA_DIR) -> None:
    """List the account issues whose result is unknown, with what to ask Hecto about."""
    from naru.domain.values import kst_stamp
    from naru.service import by_hand

    async def work(parts: Parts) -> None:
        for i in await by_hand.waiting(parts.cx):
            mark = "담당자 확인 필요" if i.by_hand else "확인 중"
            print(f"{i.imp_uid}  {i.mid:12} {kst_stamp(i.asked_at)}  {i.amount:>12,}원  {i.number or '-':16} {mark}")

    _with_parts(_settings(data_dir), work)


@account_app.command(name="issued")
def account_issued(
    imp_uid: str, trd_no: str, *, bank: str = "", number: str = "", data_dir: DataDir = DATA_DIR
) -> None:
    """Record that Hecto did issue an account, as its staff told you.

    Parameters
    ----------
    trd_no
        Hecto's trdNo of the issue.
    bank
        Three digits; for a rotating account.
    number
        The account number; for a rotating account.
    """
    from naru.service import by_hand
    from naru.store.people import Actor

    async def work(parts: Parts) -> bool:
        actor = Actor(None, "naru account issued", "-")
        return await by_hand.issued(parts.cx, actor, None, imp_uid, trd_no=trd_no, bank=bank, number=number)

    if _with_parts(_settings(data_dir), work):
        print("기록했습니다. 실패로 안내했으므로 말소합니다. Recorded; the shop heard of a failure, so it is revoked.")
    else:
        print("기록했습니다. Recorded.")


@account_app.command(name="never")
def account_never(imp_uid: str, *, data_dir: DataDir = DATA_DIR) -> None:
    """Record that Hecto never issued an account, as its staff told you. The payment has failed."""
    from naru.service import by_hand
    from naru.store.people import Actor

    _with_parts(
        _settings(data_dir),
        lambda parts: by_hand.never_issued(parts.cx, Actor(None, "naru account never", "-"), None, imp_uid),
    )
    print("발급되지 않은 것으로 기록했습니다. Recorded as never issued.")


@user_app.command(name="list")
def user_list(*, data_dir: DataDir = DATA_DIR) -> None:
    """List who may enter the console."""
    from naru.store import people

    async def work(parts: Parts) -> None:
        for u in await parts.db.read(people.all_users):
            marks = " ".join(["관리자" if u.admin else "", "잠김" if u.disabled_at else ""]).strip()
            print(f"{u.email:40} {u.name} {marks}")

    _with_parts(_settings(data_dir), work)


@user_app.command(name="invite")
def user_invite(*, email: str | None = None, data_dir: DataDir = DATA_DIR) -> None:
    """Print a one-time address: a new administrator, or a new password for a known address."""
    from naru.service import console_access
    from naru.store import people
    from naru.store.people import Actor

    async def work(parts: Parts) -> str:
        known = await parts.db.read(people.user_by_email, email.lower()) if email else None
        actor = Actor(None, "naru user invite", "-")
        if known is not None:
            return await console_access.invite(parts.cx, actor, user_id=known.id)
        return await console_access.invite(parts.cx, actor, email=email, admin=True)

    print(_with_parts(_settings(data_dir), work))


@trigger_app.command(name="fault")
def trigger_fault(
    name: str, *, message: str = "any", times: int = 1, ms: int | None = None, code: str | None = None,
    data_dir: DataDir = DATA_DIR,
) -> None:  # fmt: skip
    """Let the sandbox misbehave: request_lost, answer_lost, delay, noti_lost, noti_doubled, wrong_amount …"""
    body: dict[str, Any] = {"name": name, "message": message, "times": times}
    body.update({k: v for k, v in (("ms", ms), ("code", code)) if v is not None})
    print(_call(f"{_settings(data_dir).sandbox_url}/_sandbox/faults", body))


@trigger_app.command(name="noti")
def trigger_noti(trd_no: str, *, data_dir: DataDir = DATA_DIR) -> None:
    """Let the sandbox send a trade's noti again."""
    print(_call(f"{_settings(data_dir).sandbox_url}/_sandbox/notis/{trd_no}/resend", {}))


@trigger_app.command(name="deposit")
def trigger_deposit(account: str, amount: int, *, depositor: str = "홍길동", data_dir: DataDir = DATA_DIR) -> None:
    """Let somebody pay into a virtual account."""
    body = {"account": account, "amount": amount, "depositor": depositor}
    print(_call(f"{_settings(data_dir).sandbox_url}/_sandbox/deposits", body))


@app.command
def dunning(
    hour: int | None = None,
    *,
    store: Annotated[str | None, Parameter(help="식별코드. The store's imp code; needed with several stores.")] = None,
    off: bool = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Charge failed schedules again every day at this KST hour (1-23) until one succeeds; --off stops that."""
    from naru.service.schedules import set_dunning
    from naru.store import stores

    async def work(parts: Parts) -> None:
        found = [s for s in await parts.db.read(stores.all_stores) if store in (None, s.imp_code)]
        if len(found) != 1:
            _die("상점을 --store 식별코드로 지정해 주세요. Name the store with --store.")
        if hour is not None or off:
            await set_dunning(parts.cx, found[0].id, None if off else hour)
        wanted = hour if hour is not None and not off else None if off else found[0].dunning_hour
        print(f"{found[0].imp_code}: " + ("재시도 안 함 (off)" if wanted is None else f"매일 {wanted}시 (KST)"))

    _with_parts(_settings(data_dir), work)


@clock_app.command(name="advance")
def clock_advance(span: str, *, data_dir: DataDir = DATA_DIR) -> None:
    """Move development time forward: 90s, 15m, 2h, 31d. Jobs run at their due times on the way."""
    units = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    if not span or span[-1] not in units or not span[:-1].isdigit():
        _die("90s, 15m, 2h, 31d 처럼 써 주세요.")
    print(_call(f"{_settings(data_dir).public_url}/_dev/clock", {"advance_ms": int(span[:-1]) * units[span[-1]]}))


@clock_app.command(name="show")
def clock_show(*, data_dir: DataDir = DATA_DIR) -> None:
    """Show development time."""
    print(_call(f"{_settings(data_dir).public_url}/_dev/clock", None))


def _call(url: str, body: object) -> str:
    """POST (or GET) JSON and return the answer's text; a refusal ends the program."""
    import aiohttp

    async def call() -> tuple[int, str]:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as session,
            session.request("GET" if body is None else "POST", url, json=body) as answer,
        ):
            return answer.status, await answer.text()

    try:
        status, text = asyncio.run(call())
    except aiohttp.ClientError as e:
        _die(f"{url}: {e} (naru dev가 실행 중인가요?)")
        raise
    if status >= 400:
        _die(text)
    return text


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
