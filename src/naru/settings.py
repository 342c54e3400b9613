"""Settings, read once from the environment and the command line and handed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class SettingsError(Exception):
    """The program refuses to start with these settings; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the program is told from outside. Addresses have no trailing slash."""

    database_url: str
    master_key: bytes = field(repr=False)
    """32 bytes that encrypt secrets at rest; kept outside the database."""
    public_url: str
    """The address under which shops, browsers and Hecto reach us."""
    development: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    metrics_port: int = 0
    """0: no metrics server."""
    trusted_proxies: tuple[str, ...] = ()
    run_jobs: bool = True
    log_level: str = "info"
    log_json: bool = True
    sandbox_url: str = "http://127.0.0.1:8001"
    shop_url: str = "http://127.0.0.1:8002"
    pool_max: int = 16
    allow_private_targets: bool = False
    """Webhooks to private and loopback addresses; on in development."""
    alarm_webhook: str = ""
    alarm_email: str = ""
    alarm_smtp: str = field(default="", repr=False)
    alarm_from: str = ""
    """Where alarms go (`naru.jobs.cry.Bell`): the address, the recipients, the mail server, the sender."""
    request_log: bool = True
    """Whether the calls to stores without a live channel are kept for their developers (`naru.api.calls`)."""
    keep_messages_days: int = 90
    """How long messages to the PG are kept for the console, redacted; 0: not at all (`naru.service.exchanges`)."""
    clock_offset_ms: int = 0
    crash_at: str = ""
    """Development only: the process kills itself at this named point (``asked``, or ``asked:3`` for the third
    time it comes there), for the crash tests."""
    pg_connect_s: float = 5.0
    pg_read_s: float = 20.0
    budget_s: float = 28.0
    """Limits of one call to the PG and of one request to us. Only development changes them: a
    chaos campaign cannot wait twenty seconds for every lost answer."""


def key_from_hex(text: str) -> bytes:
    """The master key from its written form, 64 hex digits. Raises SettingsError."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise SettingsError("the master key must be 64 hex digits (32 bytes); `naru init` makes one")
    return key


def read_master_key(env: Mapping[str, str], data_dir: Path) -> bytes | None:
    """``NARU_MASTER_KEY``, else the file ``master.key`` of the data directory, else None."""
    if text := env.get("NARU_MASTER_KEY"):
        return key_from_hex(text)
    file = data_dir / "master.key"
    return key_from_hex(file.read_text("ascii")) if file.exists() else None


def from_env(env: Mapping[str, str], data_dir: Path, **given: object) -> Settings:
    """Production settings from ``NARU_*``. Raises SettingsError naming what is missing."""
    master_key = read_master_key(env, data_dir)
    if master_key is None:
        raise SettingsError("no master key: set NARU_MASTER_KEY or run `naru init`")
    public_url = env.get("NARU_PUBLIC_URL", "").rstrip("/")
    if not public_url.startswith(("http://", "https://")):
        raise SettingsError("set NARU_PUBLIC_URL to the address under which Hecto and shops reach this server")
    values: dict[str, object] = {
        "database_url": env.get("NARU_DATABASE_URL") or f"sqlite:///{(data_dir / 'naru.db').resolve()}",
        "master_key": master_key,
        "public_url": public_url,
        "trusted_proxies": tuple(p.strip() for p in env.get("NARU_TRUSTED_PROXIES", "").split(",") if p.strip()),
        "log_level": env.get("NARU_LOG_LEVEL", "info"),
        "sandbox_url": env.get("NARU_SANDBOX_URL", "http://127.0.0.1:8001").rstrip("/"),
        "metrics_port": int(env.get("NARU_METRICS_PORT", "0")),
        "alarm_webhook": env.get("NARU_ALARM_WEBHOOK", ""),
        "alarm_email": env.get("NARU_ALARM_EMAIL", ""),
        "alarm_smtp": env.get("NARU_SMTP_URL", ""),
        "alarm_from": env.get("NARU_ALARM_FROM", ""),
        "keep_messages_days": int(env.get("NARU_KEEP_MESSAGES_DAYS", "90")),
        "request_log": env.get("NARU_REQUEST_LOG", "1") not in ("0", "false", "no", "off"),
        "allow_private_targets": env.get("NARU_ALLOW_PRIVATE_TARGETS", "") in ("1", "true", "yes"),
    }
    values.update({k: v for k, v in given.items() if v is not None})
    return Settings(**values)  # type: ignore[arg-type]


def environment() -> Mapping[str, str]:
    """The process's environment; here so that nothing else reads it."""
    return os.environ
