"""The MIDs that the sandbox knows, what each is contracted for, and the switches of each.

Hecto's public test MIDs and PortOne's `portone1`, all with Hecto's public test keys (they protect
nothing and are printed in Hecto's documents).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from naru.connectors.hecto.crypto import Keys
from naru.sandbox.hecto.book import Book

PUBLIC_KEYS = Keys("ST1009281328226982205", "pgSettle30y739r82jtd709yOfZ2yK5K")


@dataclass(frozen=True, slots=True)
class Pool:
    """Account numbers assigned to a MID at one bank, first to last."""

    bank: str
    first: int
    last: int

    def has(self, bank: str, number: str) -> bool:
        return bank == self.bank and number.isdigit() and self.first <= int(number) <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchant:
    mid: str
    title: str
    keys: Keys = PUBLIC_KEYS
    methods: frozenset[str] = frozenset()  # CA, RA, VA, MP
    card: str = ""  # window (인증) | keyin (비인증: number, expiry) | keyin_auth (구인증: and birth, password)
    split: bool = False  # the window authenticates, APIService.do approves
    monthly: bool = False  # mobile auto-payment
    account_types: frozenset[str] = frozenset()  # 1 rotating, 2 fixed, 3 fixed-unlimited
    pools: tuple[Pool, ...] = ()
    name: str = "헥토샌드박스상점"
    business_no: str = "2018163383"
    # What a merchant agrees with Hecto's staff; here it can be switched (SWITCHES).
    billing_keys: bool = False  # payments by card data bring a billing key
    key_only: bool = False  # keys may be issued without a payment (M06)
    partial_cancel: bool = True
    refund_service: bool = True  # refunds to an account (VA, and MP after the month)
    cancel_noti: bool = False  # card, transfer, mobile; off unless asked for
    vbank_cancel_noti: bool = True  # A2 and C0
    reversal_noti: bool = False  # 0121/B2
    noti_number: str = "original"  # order number in a cancel noti: the original's, or the "request"'s
    charset: str = "utf-8"  # of notis: utf-8 or euc-kr
    strict_ok: bool = False  # the body must be exactly OK, untrimmed
    vbank_noti_url: str = ""  # merchant-level address; empty: the server's setting
    precheck: str = "off"  # deposit pre-check: off, N, P, or NP (both calls)
    precheck_url: str = ""
    precheck_aes: bool = False  # encrypt vAcntNo in the pre-check
    fee_bp: int = 250  # fee in hundredths of a percent, for the settlement list


_SWITCH_NAMES = (
    *("billing_keys", "key_only", "partial_cancel", "refund_service", "cancel_noti", "vbank_cancel_noti"),
    *("reversal_noti", "noti_number", "charset", "strict_ok", "vbank_noti_url", "precheck", "precheck_url"),
    *("precheck_aes", "fee_bp", "split"),
)
_DEFAULTS = Merchant(mid="", title="")
SWITCHES: Mapping[str, type[object]] = {name: type(cast("object", getattr(_DEFAULTS, name))) for name in _SWITCH_NAMES}
_ALLOWED: Mapping[str, tuple[str, ...]] = {
    "noti_number": ("original", "request"),
    "charset": ("utf-8", "euc-kr"),
    "precheck": ("off", "N", "P", "NP"),
}
_CARD, _BANK, _VBANK, _MOBILE = (frozenset({m}) for m in ("CA", "RA", "VA", "MP"))


def _pools(first: int, last: int) -> tuple[Pool, ...]:
    """The documented ranges exist at two banks: KB (004) and NH (011)."""
    return tuple(Pool(bank, int(f"2022{bank}{first:06}"), int(f"2022{bank}{last:06}")) for bank in ("004", "011"))


KNOWN: tuple[Merchant, ...] = (
    Merchant(
        mid="portone1",
        title="포트원 결제창 (카드·계좌이체·가상계좌·휴대폰)",
        methods=_CARD | _BANK | _VBANK | _MOBILE,
        card="window",
        account_types=frozenset("1"),
    ),
    Merchant(mid="nxca_jt_il", title="카드 인증 결제창", methods=_CARD, card="window"),
    Merchant(mid="nxca_jt_bi", title="카드 비인증 (카드번호·유효기간)", methods=_CARD, card="keyin", billing_keys=True),
    Merchant(
        mid="nxca_ks_gu",
        title="카드 구인증 (카드번호·유효기간·생년월일·비밀번호)",
        methods=_CARD,
        card="keyin_auth",
        billing_keys=True,
        key_only=True,
    ),
    Merchant(
        mid="nxca_jt_gu",
        title="카드 구인증 (옛 이름)",
        methods=_CARD,
        card="keyin_auth",
        billing_keys=True,
        key_only=True,
    ),
    Merchant(mid="nxca_jt_hd", title="카드 인증·승인 분리", methods=_CARD, card="window", split=True),
    Merchant(mid="nxca_ab_il", title="해외카드 인증 결제창", methods=_CARD, card="window"),
    Merchant(mid="nxca_ab_bi", title="해외카드 비인증 결제창", methods=_CARD, card="keyin"),
    Merchant(
        mid="nx_mid_il",
        title="계좌이체 · 회전식 가상계좌",
        methods=_BANK | _VBANK,
        account_types=frozenset("1"),
    ),
    Merchant(
        mid="nxva_fix", title="고정식 가상계좌", methods=_VBANK, account_types=frozenset("2"), pools=_pools(1, 50)
    ),
    Merchant(
        mid="nxva_fix2",
        title="고정식 무제한 가상계좌",
        methods=_VBANK,
        account_types=frozenset("3"),
        pools=_pools(56, 100),
    ),
    Merchant(mid="nxva_sb_il", title="010 가상계좌 (지원하지 않음)", methods=_VBANK),
    Merchant(mid="nxhp_sb_il", title="휴대폰 일반", methods=_MOBILE),
    Merchant(mid="nxhp_sb_hd", title="휴대폰 인증·승인 분리", methods=_MOBILE, split=True),
    Merchant(mid="nxhp_sb_ma", title="휴대폰 월자동", methods=_MOBILE, monthly=True),
    Merchant(mid="nxhp_pl_il", title="휴대폰 일반 (옛 이름)", methods=_MOBILE),
    Merchant(mid="nxhp_pl_hd", title="휴대폰 인증·승인 분리 (옛 이름)", methods=_MOBILE, split=True),
    Merchant(mid="nxhp_pl_ma", title="휴대폰 월자동 (옛 이름)", methods=_MOBILE, monthly=True),
    Merchant(mid="mid_test", title="현금영수증"),
)


class Merchants:
    """The table above with the switches that were set, which live in the book."""

    def __init__(self, book: Book, vbank_noti_url: str) -> None:
        self._book = book
        self._vbank_noti_url = vbank_noti_url
        self.forget()
        for mid, like in book.rows("SELECT mid, like_mid FROM merchants ORDER BY rowid"):
            self._by_mid[str(mid)] = replace(self._by_mid[str(like)], mid=str(mid))
        for mid, name, value in book.rows("SELECT mid, name, value FROM switches"):
            self._set(str(mid), str(name), str(value))

    def get(self, mid: str) -> Merchant | None:
        return self._by_mid.get(mid)

    def all(self) -> list[Merchant]:
        return list(self._by_mid.values())

    def register(self, mid: str, like: str) -> Merchant:
        """A MID of your own with the contract of a known one. Raises ValueError."""
        if not (4 <= len(mid) <= 10) or not mid.isascii() or not mid.replace("_", "").isalnum():
            raise ValueError("mid must be 4 to 10 ASCII letters, digits or _")
        if mid in self._by_mid:
            raise ValueError(f"{mid} exists")
        if like not in self._by_mid:
            raise ValueError(f"no MID {like}")
        with self._book.write():
            self._book.run("INSERT INTO merchants (mid, like_mid) VALUES (?, ?)", mid, like)
        self._by_mid[mid] = replace(self._by_mid[like], mid=mid)
        return self._by_mid[mid]

    def switch(self, mid: str, values: Mapping[str, object]) -> Merchant:
        """Sets switches of one MID and keeps them. Raises ValueError, naming what is wrong."""
        if mid not in self._by_mid:
            raise ValueError(f"no MID {mid}")
        texts = {name: _as_text(name, value) for name, value in values.items()}
        with self._book.write():
            for name, text in texts.items():
                self._book.run("INSERT OR REPLACE INTO switches (mid, name, value) VALUES (?, ?, ?)", mid, name, text)
        for name, text in texts.items():
            self._set(mid, name, text)
        return self._by_mid[mid]

    def forget(self) -> None:
        """Back to the table: the book was wiped."""
        self._by_mid = {m.mid: replace(m, vbank_noti_url=self._vbank_noti_url) for m in KNOWN}

    def _set(self, mid: str, name: str, text: str) -> None:
        kind = SWITCHES[name]
        value: Any = text == "1" if kind is bool else int(text) if kind is int else text
        if name == "vbank_noti_url" and not text:
            value = self._vbank_noti_url
        self._by_mid[mid] = replace(self._by_mid[mid], **{name: value})


def _as_text(name: str, value: object) -> str:
    kind = SWITCHES.get(name)
    if kind is None:
        raise ValueError(f"no switch {name}; there are {', '.join(sorted(SWITCHES))}")
    if kind is bool:
        if value in (True, 1, "true", "1", "on"):
            return "1"
        if value in (False, 0, "false", "0", "off", ""):
            return "0"
        raise ValueError(f"{name} is true or false")
    text = str(value)
    if name in _ALLOWED and text not in _ALLOWED[name]:
        raise ValueError(f"{name} is one of {', '.join(_ALLOWED[name])}")
    if kind is int and not text.isdigit():
        raise ValueError(f"{name} is a number")
    if name.endswith("_url") and text and not text.startswith(("http://", "https://")):
        raise ValueError(f"{name} is an http address")
    return text
