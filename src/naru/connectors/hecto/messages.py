"""Every message of Hecto Financial's PG protocol that Naru speaks, declared once.

Both sides of the wire use this file: the connector builds requests and opens answers, the sandbox
opens requests and builds answers. Strings in, strings out; nothing here knows a payment.

A declaration says which fields travel, how long they may be (bytes of UTF-8 plain text), which of
them are AES-encrypted, in which order fields are joined for the seal (`pktHash`), and where that is
written. Sources: S0 is the original specification (표준 연동규격서), S1 the newer developer pages,
S2 Hecto's own sample code; where they disagree the declaration says which one it follows. Because
both sides share this file a wrong seal order would be invisible to them: the published vectors in
`tests/contract/` are what checks it.
"""

import enum
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import unquote, unquote_to_bytes, urlencode

from naru.connectors.hecto import crypto
from naru.connectors.hecto.crypto import Keys

# --- what a declaration is made of ---------------------------------------------------------------


class Aes(enum.Enum):
    """How a field travels."""

    PLAIN = enum.auto()
    AES = enum.auto()
    AES_OR_PLAIN = enum.auto()  # sources disagree: sent encrypted, read either way
    PLAIN_OR_AES = enum.auto()  # sent plain, read either way


class Transport(enum.Enum):
    WINDOW = "browser form, answered with a page"
    JSON = 'JSON {"params":{…},"data":{…}} both ways'
    FORM = "form, answered with text"
    NOTI = "form from Hecto to the merchant"


class Host(enum.Enum):
    """Hecto's host roles; each has its own base address."""

    WINDOW = "window"
    API = "api"
    RECON = "recon"
    CASH = "cash"
    MERCHANT = "merchant"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str  # Hecto's letters: A alpha, N digits, H Hangul, S special, in combinations
    max: int  # bytes of UTF-8 plain text
    required: bool
    aes: Aes
    place: str  # "params" or "data" in JSON, "form" otherwise


ECHO = "echo"
"""The answer repeats the request's seal instead of computing one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. `seal` names the fields joined for pktHash; an entry "=0" is the character 0."""

    id: str
    name: str
    path: str
    host: Host
    transport: Transport
    fixed: Mapping[str, str]  # "B2|B0": either is right, the first is sent by default
    request: tuple[Field, ...]
    answer: tuple[Field, ...] = ()
    seal: tuple[str, ...] | None
    answer_seal: tuple[str, ...] | str | None = None  # None: answers are not sealed
    source: str
    request_names: frozenset[str] = field(init=False)
    answer_names: frozenset[str] = field(init=False)
    constants: Mapping[str, str] = field(init=False)
    choices: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "request_names", frozenset(f.name for f in self.request))
        put(self, "answer_names", frozenset(f.name for f in self.answer))
        put(self, "choices", {k: tuple(v.split("|")) for k, v in self.fixed.items()})
        put(self, "constants", {k: v.split("|")[0] for k, v in self.fixed.items()})
        named = {p for p in (self.seal or ()) if not p.startswith("=")}
        assert named <= self.request_names, (self.id, named - self.request_names)
        assert set(self.fixed) <= self.request_names, self.id
        if isinstance(self.answer_seal, tuple):
            named = {p for p in self.answer_seal if not p.startswith("=")}
            assert named <= self.answer_names, (self.id, named - self.answer_names)


_MARKS = {"aes": Aes.AES, "aes|plain": Aes.AES_OR_PLAIN, "plain|aes": Aes.PLAIN_OR_AES}
_SPEC = re.compile(r"(\w+) ([AHNS]+)(\d+)(!?)(?: ([a-z|]+))?")


def _fields(place: str, text: str) -> tuple[Field, ...]:
    """Fields from lines such as "trdAmt N12! aes": name, type and bytes, ! for required, AES."""
    made: list[Field] = []
    for spec in text.split(","):
        found = _SPEC.fullmatch(" ".join(spec.split()))
        assert found, spec
        name, kind, size, required, mark = found.groups()
        aes = _MARKS[mark] if mark else Aes.PLAIN
        made.append(Field(name, kind, int(size), bool(required), aes, place))
    return tuple(made)


# --- fields that many messages share -------------------------------------------------------------

_PARAMS = _fields(
    "params",
    """mchtId AN12!, ver AN4!, method A2!, bizType AN2!, encCd N2!, mchtTrdNo AN100!,
    trdDt N8!, trdTm N6!, mobileYn A1, osType A1""",
)
_ANSWER_PARAMS = _fields(
    "params",
    """mchtId AN12!, ver AN4!, method A2!, bizType AN2!, encCd N2!, mchtTrdNo AN100!, trdNo AN40!,
    trdDt N8!, trdTm N6!, outStatCd AN4!, outRsltCd AN4!, outRsltMsg AHN200!""",
)
_TAX = "taxTypeCd A1, {amount} N12! aes, taxAmt N12 aes, vatAmt N12 aes, taxFreeAmt N12 aes"
_CANCEL = "pktHash AN200!, orgTrdNo AN40!, crcCd A3!, cnclOrd N3!," + _TAX.format(amount="cnclAmt")
_CANCELLED = "pktHash AN64!, orgTrdNo AN40!, cnclAmt N12! aes, blcAmt N12! aes"
_REFUND_TO = "refundBankCd AN3!, refundAcntNo N16! aes, refundDpstrNm AHN50!, cnclRsn AHN255"
_CARD_PAID = """vldDtMon N2, vldDtYear N2, issrId AN4!, cardNm AHN20!, cardKind AHN50!,
    ninstmtTypeCd A1!, instmtMon N2, apprNo N15!"""
_WINDOW_HEAD = """mchtId AN10!, method AN20!, trdDt N8!, trdTm N6!, mchtTrdNo AN100!,
    mchtName AHN100!, mchtEName AN100!, pmtPrdtNm AHN128!, trdAmt N12! aes, mchtCustNm AHN30 aes"""
_WINDOW_URLS = "notiUrl AN250!, nextUrl AN250!, cancUrl AN250!, mchtParam AHN4000"
_WINDOW_TAIL = """email AN60 aes, prdtTerm N14, mchtCustId AN50 aes, taxTypeCd A1,
    taxAmt N12 aes, vatAmt N12 aes, taxFreeAmt N12 aes"""
_WINDOW_RESULT = """mchtId AN10!, outStatCd AN4!, outRsltCd AN4!, outRsltMsg AHN200!, method AN20!,
    mchtTrdNo AN100!, mchtCustId AN50 aes, trdNo AN40!, trdAmt N12! aes, mchtParam AHN4000,
    authDt N14"""
_NOTI_HEAD = """outStatCd N4!, trdNo AN40!, method A2!, bizType AN2!, mchtId AN12!,
    mchtTrdNo AN100!"""
_NOTI_SHOP = "mchtCustNm AHN30, mchtName AHN20, pmtprdNm AHN128, trdDtm N14!, trdAmt N12"
_NOTI_ORIGIN = "orgTrdNo AN40, orgTrdDt N8"
_NOTI_TAIL = "cnclType N2, mchtParam AHN4000, pktHash AN64!"

_API_SEAL = ("trdDt", "trdTm", "mchtId", "mchtTrdNo")
_PAY_SEAL = (*_API_SEAL, "trdAmt")
_CANCEL_SEAL = (*_API_SEAL, "cnclAmt")
_ZERO_SEAL = (*_API_SEAL, "=0")  # messages without an amount are sealed with the character 0
_PAID_SEAL = ("outStatCd", *_PAY_SEAL)
_DONE_SEAL = ("outStatCd", *_ZERO_SEAL)
_WINDOW_SEAL = ("mchtId", "method", "mchtTrdNo", "trdDt", "trdTm", "trdAmt")
_NOTI_SEAL = ("outStatCd", "trdDtm", "mchtId", "mchtTrdNo", "trdAmt")


def _window(number: str, name: str, path: str, method: str, form: str, result: str, source: str) -> Message:
    return Message(
        id=number,
        name=name,
        path=path,
        host=Host.WINDOW,
        transport=Transport.WINDOW,
        fixed={"method": method},
        request=_fields("form", form),
        answer=_fields("form", result),
        seal=_WINDOW_SEAL,
        source=source,
    )


def _api(
    number: str,
    name: str,
    path: str,
    kind: str,
    request: str,
    answer: str,
    seal: tuple[str, ...],
    answer_seal: tuple[str, ...] | str,
    source: str,
    **fixed: str,
) -> Message:
    method, biz_type = kind.split()
    return Message(
        id=number,
        name=name,
        path=path,
        host=Host.API,
        transport=Transport.JSON,
        fixed={"ver": "0A19", "method": method, "bizType": biz_type, "encCd": "23", **fixed},
        request=_PARAMS + _fields("data", request),
        answer=_ANSWER_PARAMS + _fields("data", answer),
        seal=seal,
        answer_seal=answer_seal,
        source=source,
    )


def _noti(number: str, name: str, method: str, fields: str, source: str) -> Message:
    return Message(
        id=number,
        name=name,
        path="",
        host=Host.MERCHANT,
        transport=Transport.NOTI,
        fixed={"method": method},
        request=_fields("form", fields),
        seal=_NOTI_SEAL,
        source=source,
    )


# --- payment windows (browser form; results come back as browser posts without a seal) -----------

CARD_WINDOW = _window(
    "M01",
    "card_window",
    "/card/main.do",
    "card",
    f"""{_WINDOW_HEAD}, {_WINDOW_URLS}, {_WINDOW_TAIL}, svcAmt N12 aes, instmtMon N2, cardType N1,
    chainUserId AN100, cardGb AN4, appScheme AN100, custIp AN15, pktHash AN200!""",
    f"""{_WINDOW_RESULT}, authNo N15, intMon N2, fnNm AH20, fnCd AN4, pointTrdNo AN40,
    pointTrdAmt N12 aes, cardTrdAmt N12 aes, billKey AN50""",
    "S0 2.1-2.6 (its example seal verifies); billKey optional: only MIDs with the key service",
)
BANK_WINDOW = _window(
    "M02",
    "bank_window",
    "/bank/main.do",
    "bank",
    f"""{_WINDOW_HEAD}, {_WINDOW_URLS}, {_WINDOW_TAIL}, custIp AN15, appScheme AN100,
    pktHash AN200!, custAcntSumry AHN50""",
    f"{_WINDOW_RESULT}, fnNm AH50, fnCd N4",
    "S0 window pages; custAcntSumry from S1",
)
VBANK_WINDOW = _window(
    "M03",
    "vbank_window",
    "/vbank/main.do",
    "vbank",
    f"""{_WINDOW_HEAD}, custAcntSumry AHN50, expireDt N14, {_WINDOW_URLS}, cphoneNo N11 aes,
    {_WINDOW_TAIL}, custIp AN15, pktHash AN200!""",
    f"{_WINDOW_RESULT}, vtlAcntNo N30 aes, expireDt N14, reqIssueDt N14, fnNm AH50, fnCd N4",
    "S0 window pages; note expireDt here, expireDate in the API",
)
MOBILE_WINDOW = _window(
    "M04",
    "mobile_window",
    "/mobile/main.do",
    "mobile",
    f"""{_WINDOW_HEAD}, {_WINDOW_URLS}, cphoneNo N11 aes, telecomCd AN23, {_WINDOW_TAIL},
    autoPayType A1, linkMethod AN12, custIp AN15, pktHash AN200!""",
    f"{_WINDOW_RESULT}, billKey AN50, fnNm A50, fnCd N3",
    "S0 window pages; telco by letter codes, not the page's 001",
)

# --- cards over the API --------------------------------------------------------------------------

CARD_PAY = _api(
    "M05",
    "card_pay",
    "/spay/APICardActionPay.do",
    "CA B0",
    f"""pktHash AN200!, pmtprdNm AHN128!, mchtCustNm AHN30!, mchtCustId AHN50!, email AN60,
    cardNo N16! aes, vldDtMon N2! aes, vldDtYear N2! aes, idntNo N10 aes, cardPwd N2 aes,
    instmtMon N2!, crcCd A3!, {_TAX.format(amount="trdAmt")}, svcAmt N12 aes, notiUrl AN250,
    mchtParam AHN4000""",
    f"pktHash AN64!, trdAmt N12! aes, billKey AN50, cardNo N16, {_CARD_PAID}",
    _PAY_SEAL,
    _PAID_SEAL,
    "S0 8.1-8.4 and S2 (which encrypt all five credentials); idntNo and cardPwd by the MID's kind",
)
CARD_KEY_ISSUE = _api(
    "M06",
    "card_key_issue",
    "/spay/APICardAuth.do",
    "CA A4",
    """pktHash AN64!, cardNo N128! aes, idntNo N64! aes, vldDtMon N24! aes, vldDtYear N24! aes,
    cardPwd N24! aes, mchtCustNm AHN30, mchtCustId AHN50, keyRegYn A1!""",
    "pktHash AN64!, cardNo N128, issrId A64, cardNm AH20, cardKind AN50, billKey AN40",
    _ZERO_SEAL,
    _DONE_SEAL,
    "S0 8.5-8.8 (request and answer examples verify); its lengths are those of the ciphertext",
)
CARD_KEY_PAY = _api(
    "M07",
    "card_key_pay",
    "/spay/APICardActionPay.do",
    "CA B0",
    f"""pktHash AN200!, pmtprdNm AHN128!, mchtCustNm AHN30!, mchtCustId AHN50!, email AN60,
    billKey AN50!, instmtMon N2!, crcCd A3!, {_TAX.format(amount="trdAmt")}, svcAmt N12 aes,
    mchtParam AHN4000, notiUrl AN250""",
    f"pktHash AN64!, trdAmt N12! aes, billKey AN50!, cardNo N16, {_CARD_PAID}",
    _PAY_SEAL,
    _PAID_SEAL,
    "S0 9.1-9.4; notiUrl: required in S1, absent in S0, so optional",
)
CARD_KEY_DELETE = _api(
    "M08",
    "card_key_delete",
    "/spay/APICardActionDelkey.do",
    "CA A1",
    "pktHash AN200!, billKey AN50!, etcInfo AN12",
    "pktHash AN64!, billKey AN50!",
    _ZERO_SEAL,
    _DONE_SEAL,
    'S0 10.1-10.4 and S2; the answer is sealed with "0" as S1 says, S0 names an amount it has not',
)
CARD_CANCEL = _api(
    "M09",
    "card_cancel",
    "/spay/APICancel.do",
    "CA C0",
    f"{_CANCEL}, svcAmt N12 aes, cnclRsn AHN255",
    """pktHash AN64!, orgTrdNo AN40!, cnclAmt N12! aes, cardCnclAmt N12! aes, pntCnclAmt N12! aes,
    blcAmt N12! aes, coupCnclAmt N12 aes, dcCnclAmt N12 aes, dcCnclYn A1""",
    _CANCEL_SEAL,
    ECHO,
    "S0 3.1-3.4 (its example seal verifies); coupon part from S2, discount part from S1",
)
CARD_SPLIT_APPROVE = _api(
    "M22",
    "card_split_approve",
    "/spay/APIService.do",
    "CA B2",
    "pktHash AN64!, trdAmt N12! aes, authTrdNo AN40!",
    """pktHash AN64!, trdAmt N12! aes, mchtParam AHN4000, apprNo N15, intMon N2, fnNm AH20,
    fnCd AN4, pointTrdNo AN40, pointTrdAmt N12 aes, cardTrdAmt N12 aes, billKey AN50,
    dcTrdAmt N12! aes, dcYn A1!, ninstmtTypeCd A1, cardNo AN20, ornPntUseYn A1,
    ornPntAmt A12 plain|aes""",
    _PAY_SEAL,
    _PAID_SEAL,
    "S1 credit-card/04-card-split-auth (its code table is wrong, its fields are not)",
)

# --- bank transfer -------------------------------------------------------------------------------

BANK_CANCEL = _api(
    "M10",
    "bank_cancel",
    "/spay/APICancel.do",
    "RA C0",
    f"{_CANCEL}, cnclRsn AHN255",
    _CANCELLED,
    _CANCEL_SEAL,
    ECHO,
    "S0, S1 agree; a cancel on the day, a refund later: one and the same message",
    crcCd="KRW",
)
BANK_SPLIT_APPROVE = _api(
    "M23",
    "bank_split_approve",
    "/spay/APIService.do",
    "RA B1",
    "pktHash AN200!, authTrdNo AN40!, trdAmt N12! aes",
    """pktHash AN64!, authTrdNo AN40!, prdtNm AHN128, ordNm AHN30, sellerNm AHN128, dpstrNm AHN36,
    mchtCustId AN50, trdAmt N12! aes, fnCd AN4, fnNm AH50, notiUrl AN250, mchtParam AHN4000""",
    _PAY_SEAL,
    _PAID_SEAL,
    "S1 split approval page",
)

# --- mobile --------------------------------------------------------------------------------------

MOBILE_CANCEL = _api(
    "M11",
    "mobile_cancel",
    "/spay/APICancel.do",
    "MP C0",
    f"{_CANCEL}, cnclRsn AHN255",
    f"{_CANCELLED}, rfdPsblCd A1",
    _CANCEL_SEAL,
    ECHO,
    "S0, S1 agree; rfdPsblCd comes with a refused cancel",
    crcCd="KRW",
)
MOBILE_REFUND = _api(
    "M12",
    "mobile_refund",
    "/spay/APIRefund.do",
    "MP C1",
    f"{_CANCEL}, {_REFUND_TO}",
    _CANCELLED,
    _CANCEL_SEAL,
    ECHO,
    "S0, S1 agree; from the first of the next month",
    crcCd="KRW",
)
MOBILE_SPLIT_APPROVE = _api(
    "M24",
    "mobile_split_approve",
    "/spay/APIService.do",
    "MP B2|B0",
    """pktHash AN200!, phoneNo N11 aes, telCo A3 aes, email AN60, mUserId AHN50, crcCd A3!,
    trdAmt N12! aes, prdtNm AHN128!, sellerNm AHN128, ordNm AHN30, getBillKeyYn A1,
    authTrdNo AN40!, linkMethod AN12!, notiUrl AN250, mchtParam AHN4000""",
    """pktHash AN64!, phoneNo N11 aes, telCo A3 aes, trdAmt N12! aes, getBillKeyYn A1,
    billKey AN50""",
    _PAY_SEAL,
    _PAID_SEAL,
    "S1 (computed answer seal; S0 says echo)",
    crcCd="KRW",
    linkMethod="HBRD",
)
MOBILE_MONTHLY = _api(
    "M25",
    "mobile_monthly",
    "/spay/APIService.do",
    "MP B1",
    """pktHash AN200!, email AN60!, mUserId AHN50!, crcCd A3!, trdAmt N12! aes, prdtNm AHN128!,
    sellerNm AHN50, ordNm AHN50!, billKey AN50!""",
    "pktHash AN64!, telCo A3 aes, trdAmt N12! aes, billKey AN50!",
    _PAY_SEAL,
    _PAID_SEAL,
    "S1 (computed answer seal; S0 says echo); from the second round on",
    crcCd="KRW",
)

# --- virtual accounts ----------------------------------------------------------------------------

_VBANK_ISSUED = """pktHash AN64!, bankCd AN3!, vAcntNo N16! aes, expireDate N14!, trdAmt N12! aes,
    acntType N1!"""
VBANK_ISSUE = _api(
    "M13",
    "vbank_issue",
    "/spay/APIVBank.do",
    "VA A0",
    """pktHash AN200!, bankCd AN3!, acntType N1, vAcntNo N16 aes, expireDate N14, prdtNm AHN128!,
    sellerNm AHN128!, ordNm AHN30, trdAmt N12! aes, dpstrNm AHN50, taxTypeCd A1, taxAmt N12 aes,
    vatAmt N12 aes, taxFreeAmt N12 aes, escrAgrYn A1!, escrPwd AN64 aes, rfdDpstrNm AHN50 aes,
    csrcIssReqYn A1!, cashRcptPrposDivCd N1, csrcRegNoDivCd N1, csrcRegNo N18 aes,
    email AN60 aes|plain, notiUrl AN250, mchtParam AHN4000, mchtCustId AN50""",
    _VBANK_ISSUED,
    _PAY_SEAL,
    _PAID_SEAL,
    "S0 15.1-15.4; acntType 1 (also blank) rotating, 2 fixed; email: plain in S0, AES in S1",
)
VBANK_ISSUE_UNLIMITED = _api(
    "M14",
    "vbank_issue_unlimited",
    "/spay/APIVBank.do",
    "VA A0",
    """pktHash AN200!, bankCd AN3!, acntType N1!, vAcntNo N16! aes, expireDate N14, prdtNm AHN128!,
    sellerNm AHN128!, ordNm AHN30, trdAmt N12! aes, dpstrNm AHN50, mchtCustId AN50""",
    # No deadline may be set, so none comes back; S0 marks it required like the other kinds'.
    _VBANK_ISSUED.replace("expireDate N14!", "expireDate N14"),
    _PAY_SEAL,
    _PAID_SEAL,
    'S0, S1: acntType 3, trdAmt always "0", no notiUrl, tax, escrow or cash receipt',
    acntType="3",
)
VBANK_CHANGE = _api(
    "M15",
    "vbank_change",
    "/spay/APIVBank.do",
    "VA A1",
    """pktHash AN200!, bankCd AN3!, vAcntNo N16! aes, expireDate N14!, trdAmt N12! aes,
    acntType N1!""",
    _VBANK_ISSUED,
    _PAY_SEAL,
    ECHO,
    "S0, S1: found by bank and number; unchanged values are sent again",
)
VBANK_REVOKE = _api(
    "M16",
    "vbank_revoke",
    "/spay/APIVBank.do",
    "VA A2",
    "pktHash AN200!, orgTrdNo AN40!, vAcntNo N20! aes",
    "pktHash AN64!, orgTrdNo AN40, acntType N1, vAcntNo N20! aes",
    _ZERO_SEAL,
    ECHO,
    "S0, S2 (the sealed 0); length of vAcntNo from S1",
)
VBANK_REFUND = _api(
    "M17",
    "vbank_refund",
    "/spay/APIRefund.do",
    "VA C0",
    f"{_CANCEL}, {_REFUND_TO}",
    _CANCELLED,
    _CANCEL_SEAL,
    ECHO,
    "S0, S1: orgTrdNo is the issuance's, for fixed-unlimited accounts the deposit's",
    crcCd="KRW",
)
DEPOSIT_TEST = Message(
    id="M18",
    name="deposit_test",
    path="/spay/APIVBankTest.do",
    host=Host.API,
    transport=Transport.FORM,
    fixed={"method": "VA", "bizType": "F1"},
    request=_fields("form", "mchtId AN10!, method AN2!, bizType AN2!, vAcntNo N16!, trdAmt N12!"),
    answer=_fields("form", "method AN2!, bizType AN2!, outRsltCd AN4!, outRsltMsg AHN200!"),
    seal=None,
    source="S0, S1: test hosts only, GET, neither seal nor AES; answered as JSON",
)

# --- Hecto to the merchant -----------------------------------------------------------------------

PRECHECK = Message(
    id="M19",
    name="precheck",
    path="",
    host=Host.MERCHANT,
    transport=Transport.NOTI,
    fixed={"method": "VA", "bizType": "B0"},
    request=_fields(
        "form",
        """method A2!, bizType AN2!, mchtId AN10!, trdNo AN40, mchtTrdNo AN100!, trdDtm N14!,
        trdAmt N12!, bankCd AN3!, acntType N1!, vAcntNo N64! plain|aes, mediaType N2, rcptType A1!,
        pktHash AN200!""",
    ),
    answer=_fields("form", "rsltCd N4!, rsltMsg AHN200"),
    seal=("method", "bizType", "trdDtm", "mchtId", "trdNo", "trdAmt"),
    source="S1 deposit pre-check (수취조회); trdNo is absent for fixed-unlimited accounts",
)
NOTI_CARD = _noti(
    "M20a",
    "noti_card",
    "CA",
    f"""{_NOTI_HEAD}, {_NOTI_SHOP}, svcAmt N12, billKey AN40, billKeyExpireDt N4, cardCd AN10,
    cardNm AHN20, email AN60, mchtCustId AN50, cardNo AN20, cardApprNo AN15, instmtMon N2,
    instmtType A1, {_NOTI_ORIGIN}, mixTrdNo AN40, mixTrdAmt N12, payAmt N12, {_NOTI_TAIL}, vat N12,
    taxAmt N12, taxFreeAmt N12, acqrCd AN4, bizRegNo AN10, joinNo AN30""",
    "S0 noti tables; tax, acquirer and merchant numbers from S1",
)
NOTI_BANK = _noti(
    "M20b",
    "noti_bank",
    "RA",
    f"""{_NOTI_HEAD}, {_NOTI_SHOP}, bankCd AN10, bankNm AHN10, acntPrintNm AHN12, email AN60,
    mchtCustId AN50, {_NOTI_ORIGIN}, csrcIssNo AN10, {_NOTI_TAIL}""",
    "S0 noti tables; csrcIssNo AN(9) there, ten characters in its own example",
)
NOTI_MOBILE = _noti(
    "M20c",
    "noti_mobile",
    "MP",
    f"""{_NOTI_HEAD}, {_NOTI_SHOP}, billKey AN40, billKeyExpireDt N4, telecomCd A10,
    telecomNm AHN10, email AN60, mchtCustId AN50, phoneNoEnc N11 aes, {_NOTI_ORIGIN},
    {_NOTI_TAIL}""",
    "S0 noti tables; phoneNoEnc is the only encrypted field of any noti",
)
NOTI_VBANK = _noti(
    "M20d",
    "noti_vbank",
    "VA",
    f"""{_NOTI_HEAD}, {_NOTI_SHOP}, bankCd AN10, bankNm AHN10, acntType N1, vAcntNo N64,
    expireDt N14, AcntPrintNm AHN12, dpstrNm AHN30, email AN60, mchtCustId AN50, {_NOTI_ORIGIN},
    csrcIssNo AN10, {_NOTI_TAIL}""",
    "S0 noti tables: A0 issued (0051), B1 deposit, A2 revoked, B2 reversed (0121), C0 refunded",
)
NOTI_VBANK_UNLIMITED = _noti(
    "M20e",
    "noti_vbank_unlimited",
    "VA",
    f"""{_NOTI_HEAD}, trdDtm N14!, trdAmt N12, bankCd AN10, bankNm AHN10, acntType N1, vAcntNo N64,
    expireDt N14, AcntPrintNm AHN12, dpstrNm AHN30, pktHash AN64!""",
    "S0, S1: mchtTrdNo is always 0000000 and trdNo is the deposit's own",
)

# --- questions and lists -------------------------------------------------------------------------

INQUIRY = Message(
    id="M21",
    name="inquiry",
    path="/spay/APITrdcheck.do",
    host=Host.API,
    transport=Transport.JSON,
    fixed={"ver": "0A1M"},
    request=_fields("params", "mchtId AN12!, ver AN4!, mchtTrdNo AN100!, trdDt N8!, trdTm N6!")
    + _fields(
        "data",
        """pktHash AN200!, method A2!, trdAmt N12!, orgTrdDt N8!, orgMchtTrdNo AN100!,
        orgTrdNo AN40""",
    ),
    answer=_fields(
        "params",
        """mchtId AN12!, ver AN4!, mchtTrdNo AN100!, trdNo AN40!, trdDt N8!, trdTm N6!,
        outStatCd N4!, outRsltCd AN4!, outRsltMsg AHN200!""",
    )
    + _fields("data", "pktHash AN64!, method A2!, trdAmt N12!, cnclAmt N12"),
    seal=_PAY_SEAL,
    answer_seal=ECHO,
    source="S0 inquiry page (its example seal verifies, in upper case); amounts are plain here",
)
RECEIPT_PAGE = Message(
    id="M26",
    name="receipt_page",
    path="/api/cpnRcptNoAuth.do",
    host=Host.RECON,
    transport=Transport.FORM,
    fixed={},
    request=_fields("form", "mchtId AN10!, method AN2!, trdDt N8!, trdNo AN40!, pktHash AN200!"),
    seal=("mchtId", "trdNo"),
    source="S1 receipt page (무인증 매출전표): a browser POST",
)
TRANSACTIONS = Message(
    id="M27",
    name="transactions",
    path="/api/pg/{mchtId}/transInfo.do",
    host=Host.RECON,
    transport=Transport.FORM,
    fixed={"pdTy": "D"},
    request=_fields(
        "form",
        """mchtId AN10!, mchtTy AN1!, repMchtId AN10, method AN3!, pdTy AN1!, trdDtSt N8!,
        ezpIncYN AN1, pktHash AN200!""",
    ),
    seal=("mchtId", "trdDtSt"),
    source="S1 거래대사 (an example seal verifies); a group query is sealed with repMchtId's key",
)
SETTLEMENTS = Message(
    id="M28",
    name="settlements",
    path="/api/pg/{mchtId}/sttlmntInfo.do",
    host=Host.RECON,
    transport=Transport.FORM,
    fixed={},
    request=_fields(
        "form",
        """mchtId AN10!, mchtTy AN1, repMchtId AN10, method AN3!, crtrDt N8!, ezpIncYN AN1,
        sttlmntTy AN3, pktHash AN200!""",
    ),
    seal=("mchtId", "crtrDt"),
    source="S1 정산대사 (an example seal verifies)",
)

_CASH_PATH = "/pgtrans/CashReceiptMultiAction.do"
_CASH_RECEIPT = """ordNm AHN30, trDt AN14!, taxYn A1, amt N10!, vat N10!, svcAmt N10,
    bizRegNo N10"""


def _cash(number: str, name: str, fixed: dict[str, str], request: str, answer: str, source: str) -> Message:
    return Message(
        id=number,
        name=name,
        path=_CASH_PATH,
        host=Host.CASH,
        transport=Transport.FORM,
        fixed=fixed,
        request=_fields("form", "_method AN30!, mid AN10!, " + request),
        answer=_fields("form", answer),
        seal=None,
        source=source,
    )


CASH_REGISTER = _cash(
    "M29a",
    "cash_register",
    {"_method": "insertReceiptInfo", "assort": "0"},
    f"""assort A1!, transNo AN50!, {_CASH_RECEIPT}, purpose A1!, identityGb A1!, identity N18!,
    deductionType A1, reYn A1, reTrDt N8, reAuthNo AN9""",
    "resultCd AN4!, resultMsg AHN100, trTime N14, authNo AN9",
    "S1 cash receipt; reYn, reTrDt, reAuthNo make it a reprocess",
)
CASH_CANCEL = _cash(
    "M29b",
    "cash_cancel",
    {"_method": "insertReceiptInfo", "assort": "1"},
    f"""assort A1!, transNo AN50!, {_CASH_RECEIPT}, purpose A1, identityGb A1, identity N18,
    authNo AN9!, orgTrDt AN14!, reYn A1, reTrDt N8, reAuthNo AN9""",
    "resultCd AN4!, resultMsg AHN100, trTime N14, authNo AN9",
    "S1 cash receipt; partial cancels are allowed here, within the calendar year",
)
CASH_STATUS = _cash(
    "M29c",
    "cash_status",
    {"_method": "getReceiptStatus"},
    "trDt AN14!, assort A1!, transNo AN50, authNo AN9",
    "resultCd AN4!, resultMsg AHN100, trDt N14, tr_dt N14, transNo AN50, authNo AN9",
    "S1 cash receipt; the issue time is trDt in its examples, tr_dt in its table",
)
CASH_ERRORS = _cash(
    "M29d",
    "cash_errors",
    {"_method": "getReceiptErrList"},
    "trDtGb A1!, trDt1 N8!, trDt2 N8!, ordNo AN50, authNo AN9",
    "resultCd AN4",
    "S1 cash receipt; answered with CSV lines or a bare code, on the reconciliation host",
)
CASH_REPROCESSED = _cash(
    "M29e",
    "cash_reprocessed",
    {"_method": "getReceiptReReqList"},
    "searGb A1!, trDt N8!",
    "resultCd AN4",
    "S1 cash receipt; CSV of ten columns, on the reconciliation host",
)

ALL: tuple[Message, ...] = tuple(v for v in list(globals().values()) if isinstance(v, Message))
BY_ID: Mapping[str, Message] = {m.id: m for m in ALL}
BY_NAME: Mapping[str, Message] = {m.name: m for m in ALL}

_BY_ROUTE: Mapping[tuple[str, str, str], Message] = {
    (m.path, m.fixed["method"], biz): m
    for m in ALL
    if m.transport is Transport.JSON and "bizType" in m.fixed and m.id not in ("M07", "M14")
    for biz in m.choices["bizType"]
}


def find(path: str, body: object) -> Message | None:
    """The JSON message that was sent to this path, told apart by method, bizType and content."""
    if path == INQUIRY.path:
        return INQUIRY
    if not isinstance(body, Mapping):
        return None
    parts = cast("Mapping[str, object]", body)
    params, data = _mapping(parts.get("params")), _mapping(parts.get("data"))
    found = _BY_ROUTE.get((path, str(params.get("method") or ""), str(params.get("bizType") or "")))
    if found is CARD_PAY and data.get("billKey"):
        return CARD_KEY_PAY
    if found is VBANK_ISSUE and data.get("acntType") == "3":
        return VBANK_ISSUE_UNLIMITED
    return found


def find_noti(form: Mapping[str, str]) -> Message | None:
    """Which noti a form from Hecto is. The deposit pre-check is VA with bizType B0."""
    method = form.get("method", "")
    if method == "VA":
        if form.get("bizType") == "B0":
            return PRECHECK
        return NOTI_VBANK_UNLIMITED if form.get("mchtTrdNo") == "0000000" else NOTI_VBANK
    return {"CA": NOTI_CARD, "RA": NOTI_BANK, "MP": NOTI_MOBILE}.get(method)


# --- what can be wrong with a message ------------------------------------------------------------


class Flaw(enum.Enum):
    MALFORMED = "malformed"
    MISSING = "missing"
    TOO_LONG = "too long"
    NOT_ENCRYPTED = "not encrypted"
    SEAL = "seal does not match"


class BadMessage(Exception):
    """A message that cannot be accepted. Names the flaw and the field, never a value."""

    def __init__(self, flaw: Flaw, field: str = "") -> None:
        super().__init__(f"{flaw.value}: {field}" if field else flaw.value)
        self.flaw = flaw
        self.field = field


class Sealed(enum.Enum):
    """What is known about an answer's pktHash."""

    RULE = "as the message's own rule says"
    OTHER = "by the other rule (echo instead of computed, or the reverse)"
    NONE = "no seal in the answer"
    WRONG = "a seal that matches neither rule"
    UNSIGNED = "this kind of answer is never sealed"


@dataclass(frozen=True, slots=True)
class Answer:
    """An opened answer: plain values, how its seal fares, and fields that did not decrypt."""

    values: dict[str, str]
    sealed: Sealed
    unreadable: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Hecto's success test for every API answer."""
        return self.values.get("outStatCd") == "0021" and self.values.get("outRsltCd") == "0000"


@dataclass(frozen=True, slots=True)
class Noti:
    """An opened noti. Nothing in it counts unless `sealed` is true."""

    message: Message
    values: dict[str, str]
    sealed: bool
    unreadable: tuple[str, ...] = ()


# --- building ------------------------------------------------------------------------------------


def request_seal(message: Message, values: Mapping[str, str], keys: Keys) -> str:
    """The pktHash of a request or noti with these plain values; absent fields count as empty."""
    assert message.seal is not None, message.id
    return crypto.seal(_pieces(message.seal, values, message.constants), keys.hash_key)


def answer_seal(message: Message, values: Mapping[str, str], keys: Keys) -> str:
    """The computed pktHash of an answer with these plain values."""
    assert isinstance(message.answer_seal, tuple), message.id
    return crypto.seal(_pieces(message.answer_seal, values, {}), keys.hash_key)


def build_request(
    message: Message, values: Mapping[str, str], keys: Keys, *, other: Collection[str] = ()
) -> dict[str, dict[str, str]]:
    """The JSON body of an API request. Constants, AES and the seal are added here.

    An empty value is left out and never encrypted. `other` names fields of the two undecided kinds
    that shall travel the other way. Raises ValueError for a field the message does not have or a
    required one that is missing: that is a mistake in our program, not in the data.
    """
    body: dict[str, dict[str, str]] = {"params": {}, "data": {}}
    _check_names(message, values, message.request_names)
    for spec, value in _sealed_fields(message, values, keys, other):
        body[spec.place][spec.name] = value
    return body


def build_form(
    message: Message, values: Mapping[str, str], keys: Keys | None, *, other: Collection[str] = ()
) -> dict[str, str]:
    """The fields of a form message (windows, lists, cash receipts, notis). As build_request.

    `keys` may be None only for messages that have neither seal nor encrypted fields.
    """
    _check_names(message, values, message.request_names)
    return {spec.name: value for spec, value in _sealed_fields(message, values, keys, other)}


def build_answer(
    message: Message, asked: Mapping[str, str], values: Mapping[str, str], keys: Keys
) -> dict[str, dict[str, str]]:
    """A JSON answer that carries data. `asked` are the request's plain values: ids, times and
    constants are repeated from them unless `values` says otherwise, and so is an echoed seal."""
    _check_names(message, values, message.answer_names)
    plain = {**_echoed(message, asked), **values}
    body: dict[str, dict[str, str]] = {"params": {}, "data": {}}
    for spec in message.answer:
        if spec.name == "pktHash":
            value = asked.get("pktHash", "") if message.answer_seal == ECHO else answer_seal(message, plain, keys)
        else:
            value = plain.get(spec.name, "")
        if spec.place == "params":
            body["params"][spec.name] = value
        elif value:
            body["data"][spec.name] = _outward(spec, value, keys, ())
    return body


def dress(message: Message, name: str, value: str, keys: Keys) -> str:
    """One answer field as it travels: encrypted where the message says so."""
    spec = next(f for f in message.answer if f.name == name)
    return _outward(spec, value, keys, ())


def build_refusal(
    message: Message, asked: Mapping[str, str], code: str, text: str, data: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """A failure (0031) with an empty `data` unless the message defines something to say there."""
    plain = {**_echoed(message, asked), "outStatCd": "0031", "outRsltCd": code, "outRsltMsg": text}
    params = {f.name: plain.get(f.name, "") for f in message.answer if f.place == "params"}
    return {"params": params, "data": dict(data or {})}


def build_result(message: Message, values: Mapping[str, str], keys: Keys) -> dict[str, str]:
    """The fields a window posts to nextUrl or cancUrl. They carry no seal."""
    _check_names(message, values, message.answer_names)
    plain = {**message.constants, **values}
    return {f.name: _outward(f, v, keys, ()) for f in message.answer if (v := plain.get(f.name, ""))}


def encode_form(form: Mapping[str, str], charset: str = "utf-8") -> tuple[bytes, str]:
    """Body and Content-Type of a form. Hecto calls CP949 "EUC-KR"; what it lacks becomes "?"."""
    if charset.lower() == "utf-8":
        body, label = urlencode(form), "UTF-8"
    else:
        body, label = urlencode(form, encoding="cp949", errors="replace"), "EUC-KR"
    return body.encode("ascii"), f"application/x-www-form-urlencoded; charset={label}"


def build_noti(
    message: Message,
    values: Mapping[str, str],
    keys: Keys,
    *,
    charset: str = "utf-8",
    other: Collection[str] = (),
) -> tuple[bytes, str]:
    """Body and Content-Type of a noti or of the deposit pre-check."""
    return encode_form(build_form(message, values, keys, other=other), charset)


# --- opening -------------------------------------------------------------------------------------


def open_request(message: Message, body: object, keys: Keys | None, *, lenient: bool = False) -> dict[str, str]:
    """The plain values of a request, or BadMessage: the receiving side's checks.

    In this order: shape, required fields, each field's encryption, length and digits, constants, seal.
    Unknown fields and empty ones are ignored. `body` is the parsed JSON, or the fields of a form.
    `lenient` takes plain text where AES is expected, as Hecto's test hosts do.
    """
    parts = _parts(message, body)
    values: dict[str, str] = {}
    present: list[tuple[Field, str]] = []
    for spec in message.request:
        raw = parts[spec.place].get(spec.name)
        value = raw if raw.__class__ is str else _text(raw, spec.name)
        if value:
            present.append((spec, cast("str", value)))
        elif spec.required:
            raise BadMessage(Flaw.MISSING, spec.name)
    for spec, value in present:
        plain = value if spec.aes is Aes.PLAIN else _inward(spec, value, keys, lenient)
        if len(plain) > spec.max or (not plain.isascii() and len(plain.encode()) > spec.max):
            raise BadMessage(Flaw.TOO_LONG, spec.name)
        if spec.kind == "N" and not (plain.isascii() and plain.isdigit()):
            raise BadMessage(Flaw.MALFORMED, spec.name)
        values[spec.name] = plain
    for name, allowed in message.choices.items():
        if values.get(name) not in allowed:
            raise BadMessage(Flaw.MALFORMED, name)
    if message.seal is not None:
        assert keys is not None, message.id
        if not crypto.same_seal(values["pktHash"], request_seal(message, values, keys)):
            raise BadMessage(Flaw.SEAL, "pktHash")
    return values


def open_answer(message: Message, body: object, keys: Keys, asked_seal: str = "") -> Answer:
    """The plain values of an answer (the parsed JSON, or the fields of a window's post).

    Never refuses content: failures come with `data` empty, seals are echoed or computed or missing,
    and fields may be new. Raises BadMessage(MALFORMED) only when it is not an answer at all.
    """
    values: dict[str, str] = {}
    unreadable: list[str] = []
    if message.transport is Transport.JSON:
        params = _mapping(_mapping(body).get("params"))
        if not params:
            raise BadMessage(Flaw.MALFORMED, "params")
        found = {**params, **_mapping(_mapping(body).get("data"))}
    else:
        found = _mapping(body)
    for name, raw in found.items():
        text = _text(raw, name)
        if text:
            values[name] = text
    _decrypt_into(message.answer, values, unreadable, keys)
    if "outRsltMsg" in values and _PERCENT.search(values["outRsltMsg"]):
        values["outRsltMsg"] = unquote(values["outRsltMsg"])
    return Answer(values, _judge(message, values, keys, asked_seal), tuple(unreadable))


def read_form(body: bytes, content_type: str = "") -> dict[str, str]:
    """The fields of a form body. Text is read as UTF-8, else as CP949 (first, if declared EUC-KR).

    Raises BadMessage(MALFORMED) for text in neither, and for a name that comes twice with
    different values: two readers could disagree about which one was sealed.
    """
    pairs: list[tuple[bytes, bytes]] = []
    for part in body.strip().split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            if b"%" in part or b"+" in part:
                name, value = (unquote_to_bytes(half.replace(b"+", b" ")) for half in (name, value))
            pairs.append((name, value))
    korean = _KOREAN.search(content_type)
    for charset in ("cp949", "utf-8") if korean else ("utf-8", "cp949"):
        try:
            decoded = [(name.decode(charset), value.decode(charset)) for name, value in pairs]
        except UnicodeDecodeError:
            continue
        form: dict[str, str] = {}
        for name, value in decoded:
            if form.setdefault(name, value) != value:
                raise BadMessage(Flaw.MALFORMED, name[:40])
        return form
    raise BadMessage(Flaw.MALFORMED, "charset")


def open_noti(message: Message, form: Mapping[str, str], keys: Keys) -> Noti:
    """A noti or pre-check as its receiver reads it: all fields kept, seal checked with these keys."""
    values = {name: value for name, value in form.items() if value}
    unreadable: list[str] = []
    _decrypt_into(message.request, values, unreadable, keys)
    assert message.seal is not None
    # The constants are not assumed here: the seal covers what was received, absent as empty.
    expected = crypto.seal(_pieces(message.seal, values, {}), keys.hash_key)
    return Noti(message, values, crypto.same_seal(form.get("pktHash", ""), expected), tuple(unreadable))


# --- reconciliation lists ------------------------------------------------------------------------

_COMPANY_COLUMNS = ("ezpCompany", "productCd", "mixTrdNo")
TRANSACTION_COLUMNS: tuple[str, ...] = (
    *("mchtId", "method", "trdNo", "mchtTrdNo", "cancelled", "date", "time", "amount"),
    *("orgTrdNo", "orgTrdDt", "ordNm", "prdtNm", "apprNo", "fnCd", "instmtMon", "noInterest"),
    *_COMPANY_COLUMNS,
)
"""Columns of M27 in order (S1). `cancelled` is 0 or 1; amounts are positive on cancels as well."""
SETTLEMENT_COLUMNS: tuple[str, ...] = (
    *("mchtId", "trdNo", "orgTrdNo", "method", "date", "cancelled", "fnCd", "apprNo", "instmtMon"),
    *("mchtTrdNo", "ordNm", "prdtNm", "amount", "fee", "feeVat", "payout", "payoutDate"),
    *_COMPANY_COLUMNS,
    "sttlmntTy",
)
"""Columns of M28 in order (S1). payout = amount - fee - feeVat."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A reconciliation list: result code, text, and one mapping per line."""

    code: str
    text: str
    rows: list[dict[str, str]]


def write_sheet(sheet: Sheet, columns: Sequence[str]) -> str:
    """Pipe rows under a `code|message|count|` line. Empty columns after the sixteenth or
    seventeenth are left away, as S1's examples do."""
    base = columns.index(_COMPANY_COLUMNS[0])
    lines = [f"{sheet.code}|{sheet.text}|{len(sheet.rows)}|"]
    for row in sheet.rows:
        cells = [re.sub(r"[|\r\n]", " ", row.get(name, "")) for name in columns]
        while len(cells) > base and not cells[-1]:
            cells.pop()
        lines.append("|".join(cells) + "|")
    return "\n".join(lines)


def read_sheet(text: str, columns: Sequence[str]) -> Sheet:
    """Reads by position and tolerates short rows (S0 has fewer columns). Raises
    BadMessage(MALFORMED) when the first line is not `code|message|count|` or rows are missing."""
    lines = [line for line in text.replace("\r", "").split("\n") if line.strip()]
    head = lines[0].split("|") if lines else []
    if len(head) < 3 or not re.fullmatch(r"[0-9A-Z]{4}", head[0].strip()) or not head[2].strip().isdigit():
        raise BadMessage(Flaw.MALFORMED, "header")
    if int(head[2]) != len(lines) - 1:
        raise BadMessage(Flaw.MALFORMED, "count")
    rows = [dict(zip(columns, line.split("|"), strict=False)) for line in lines[1:]]
    return Sheet(head[0].strip(), head[1], rows)


# --- inside --------------------------------------------------------------------------------------

_KOREAN = re.compile(r"charset=\"?(euc-kr|cp949|ks_c_5601|ms949|x-windows-949)", re.IGNORECASE)
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")


def _pieces(order: Iterable[str], values: Mapping[str, str], constants: Mapping[str, str]) -> Iterable[str]:
    for name in order:
        if name[0] == "=":
            yield name[1:]
        else:
            yield values.get(name) or constants.get(name, "")


def _check_names(message: Message, values: Mapping[str, str], known: frozenset[str]) -> None:
    unknown = values.keys() - known
    if unknown:
        raise ValueError(f"{message.name} has no field {', '.join(sorted(unknown))}")


def _sealed_fields(
    message: Message, values: Mapping[str, str], keys: Keys | None, other: Collection[str]
) -> Iterable[tuple[Field, str]]:
    for name, allowed in message.choices.items():
        if values.get(name, allowed[0]) not in allowed:
            raise ValueError(f"{message.name}: {name} is fixed")
    for spec in message.request:
        name = spec.name
        if name == "pktHash":
            assert keys is not None, message.id
            yield spec, request_seal(message, values, keys)
            continue
        value = values.get(name) or message.constants.get(name, "")
        if value:
            yield spec, _outward(spec, value, keys, other)
        elif spec.required:
            raise ValueError(f"{message.name} needs {name}")


def _outward(spec: Field, value: str, keys: Keys | None, other: Collection[str]) -> str:
    if spec.aes is Aes.PLAIN:
        return value
    undecided = spec.aes is not Aes.AES
    sealed = spec.aes is not Aes.PLAIN_OR_AES
    if undecided and spec.name in other:
        sealed = not sealed
    if not sealed:
        return value
    assert keys is not None, spec.name
    return crypto.encrypt(value, keys.aes_key)


def _inward(spec: Field, value: str, keys: Keys | None, lenient: bool) -> str:
    if spec.aes is Aes.PLAIN:
        return value
    assert keys is not None, spec.name
    try:
        return crypto.decrypt(value, keys.aes_key)
    except crypto.NotEncrypted:
        if lenient or spec.aes is not Aes.AES:
            return value
        raise BadMessage(Flaw.NOT_ENCRYPTED, spec.name) from None


def _decrypt_into(fields: Iterable[Field], values: dict[str, str], unreadable: list[str], keys: Keys) -> None:
    for spec in fields:
        if spec.aes is not Aes.PLAIN and spec.name in values:
            try:
                values[spec.name] = _inward(spec, values[spec.name], keys, lenient=False)
            except BadMessage:
                del values[spec.name]
                unreadable.append(spec.name)


def _judge(message: Message, values: Mapping[str, str], keys: Keys, asked_seal: str) -> Sealed:
    if message.answer_seal is None:
        return Sealed.UNSIGNED
    got = values.get("pktHash", "")
    if not got:
        return Sealed.NONE
    echoed = bool(asked_seal) and crypto.same_seal(got, asked_seal)
    if message.answer_seal == ECHO:
        order: tuple[str, ...] = ("outStatCd", *(message.seal or ()))
    else:
        order = cast("tuple[str, ...]", message.answer_seal)
    computed = crypto.same_seal(got, crypto.seal(_pieces(order, values, {}), keys.hash_key))
    by_rule, by_other = (echoed, computed) if message.answer_seal == ECHO else (computed, echoed)
    if by_rule:
        return Sealed.RULE
    return Sealed.OTHER if by_other else Sealed.WRONG


def _echoed(message: Message, asked: Mapping[str, str]) -> dict[str, str]:
    names = message.answer_names & message.request_names
    return {f.name: asked.get(f.name, "") for f in message.answer if f.place == "params" and f.name in names}


def _mapping(part: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", part) if isinstance(part, Mapping) else {}


def _parts(message: Message, body: object) -> dict[str, Mapping[str, object]]:
    if message.transport is not Transport.JSON:
        return {"form": _mapping(body)}
    parts: dict[str, Mapping[str, object]] = {}
    for name in ("params", "data"):
        part = _mapping(body).get(name)
        if not isinstance(part, Mapping):
            raise BadMessage(Flaw.MALFORMED, name)
        parts[name] = cast("Mapping[str, object]", part)
    return parts


def _text(value: object, name: str) -> str:
    """All values are strings; null is empty; a bare number is read as its digits."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadMessage(Flaw.MALFORMED, name[:40])
