"""Whether a card is approved. Numbers are looked at and forgotten: what leaves here is masked."""

from dataclasses import dataclass, field

from naru.sandbox.hecto import clock, codes
from naru.sandbox.hecto.book import Book

_ISSUERS = ("SHN", "KBC", "SSC", "HDC", "LTC", "BCC", "HNC", "WRI", "NHC")


@dataclass(frozen=True, slots=True)
class TestCard:
    """A number with a fixed behaviour. `fate` is what a billing key made from it remembers."""

    number: str
    fate: str
    code: str  # empty: depends
    title: str


TEST_CARDS: tuple[TestCard, ...] = (
    TestCard("4111111111111111", "approve", codes.OK, "승인"),
    TestCard("4000000000000200", "expired", "CA20", "거절: 유효기간 만료"),
    TestCard("4000000000000317", "limit", "CA31", "거절: 한도 초과"),
    TestCard("4000000000000507", "lost", "CA50", "거절: 분실·도난 카드"),
    TestCard("4000000000000309", "birth", "CA30", "거절: 생년월일 불일치"),
    TestCard("4000000000000275", "password", "CA27", "거절: 비밀번호 불일치"),
    TestCard("4000000000000010", "maintenance", "CA01", "거절: 카드사 점검"),
    TestCard("4000000000000820", "call_issuer", "CA82", "거절: 카드사 문의"),
    TestCard("4000000000000325", "insufficient", "", "처음 쓴 날부터 3일 동안 잔액 부족(CA32), 그 뒤 승인"),
    TestCard("4000000000000887", "prepaid", codes.OK, "승인되지만 부분취소 불가(CA88)"),
    TestCard("1234123412341234", "bad_number", "CA13", "거절: 유효하지 않은 카드번호"),
)
_BY_NUMBER = {card.number: card for card in TEST_CARDS}
_CODE_OF = {card.fate: card.code for card in TEST_CARDS}
INSUFFICIENT_DAYS = 3


@dataclass(frozen=True, slots=True)
class Card:
    """What a payment request says about its card, for one decision. Never stored, never shown."""

    number: str = field(repr=False)
    month: str = field(repr=False)
    year: str = field(repr=False)
    identity: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Approved if `code` is 0000."""

    code: str
    text: str
    masked: str  # 411111******1111
    issuer: str
    fate: str


def luhn(number: str) -> bool:
    total = 0
    for at, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if at % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def masked(number: str) -> str:
    return number[:6] + "*" * (len(number) - 10) + number[-4:]


def issuer_of(number: str) -> str:
    """411111 is Shinhan as in the specification's example; other numbers spread over the issuers."""
    return _ISSUERS[0] if number[:6] == "411111" else _ISSUERS[int(number[:6]) % len(_ISSUERS)]


def sample(issuer: str) -> str:
    """The masked number of a card that was chosen by its company only."""
    if issuer == "SHN":
        return "411111******1111"
    return f"9{list(codes.ISSUERS).index(issuer):02}000******{1000 + list(codes.ISSUERS).index(issuer)}"


def judge(card: Card, *, ask_identity: bool, now: int, book: Book) -> Verdict:
    """Number before expiry before birth date before password, as a card company would.

    Writes only the day on which the insufficient-balance card was first used.
    """
    if not (13 <= len(card.number) <= 16 and card.number.isdigit() and luhn(card.number)):
        return Verdict("CA13", codes.BAD_CARD_NUMBER, "", "", "bad_number")
    fate = _BY_NUMBER[card.number].fate if card.number in _BY_NUMBER else "approve"
    shown, issuer = masked(card.number), issuer_of(card.number)

    def said(code: str) -> Verdict:
        return Verdict(code, codes.TEXTS[code], shown, issuer, fate)

    if not _in_future(card.month, card.year, now):
        return said("CA20")
    if ask_identity:
        if not _plausible_identity(card.identity):
            return said("CA30")
        if len(card.password) != 2:
            return said("CA27")
    return said(outcome(fate, now, book))


def outcome(fate: str, now: int, book: Book) -> str:
    """The code that a card of this fate answers now; for billing keys too."""
    if fate != "insufficient":
        return _CODE_OF.get(fate, codes.OK)
    until = book.note("insufficient_until")
    if not until:
        until = str(clock.day_start(now) + INSUFFICIENT_DAYS * clock.DAY)
        book.set_note("insufficient_until", until)
    return "CA32" if now < int(until) else codes.OK


def _in_future(month: str, year: str, now: int) -> bool:
    if len(month) != 2 or len(year) != 2 or not 1 <= int(month) <= 12:
        return False
    today = clock.kst(now)
    return (2000 + int(year), int(month)) >= (today.year, today.month)


def _plausible_identity(identity: str) -> bool:
    """A birth date yyMMdd, or ten digits of a business number."""
    if len(identity) == 10:
        return True
    return len(identity) == 6 and any(
        clock.parse_stamp(century + identity + "000000") is not None for century in ("19", "20")
    )
