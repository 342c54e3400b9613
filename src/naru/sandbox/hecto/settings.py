"""What a sandbox is started with."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    book: Path  # the book's file
    public_url: str = "http://127.0.0.1:8001"  # how browsers reach it
    vbank_noti_url: str = "http://127.0.0.1:8000/settle_payments/notice_vbank"
    night_cancel: bool = False  # cancel the day's payments between 23:00 and 23:50 KST
    delay_ms: int = 0  # every API answer takes at least this long
    lenient: bool = False  # take plain text where AES is expected, as Hecto's test hosts do
    control_open: bool = False  # the control API for others than this machine
    reset_allowed: bool = False  # POST /_sandbox/reset
