"""What of a message may be kept: fields on a list with their values, of every other that it was there.

Nothing is taken from the ciphertext's plain text but amounts and numbers that stand in our own rows anyway. A field
that Hecto adds tomorrow is hidden until somebody puts it on the list.
"""

from __future__ import annotations

from collections.abc import Mapping

from naru import logs
from naru.connectors.hecto.messages import BY_ID, Aes, Message

SHOWN = frozenset(
    {
        # who, what, when
        "mchtId", "mid", "ver", "method", "bizType", "encCd", "mchtTrdNo", "trdNo", "orgTrdNo", "orgMchtTrdNo",
        "authTrdNo", "transNo", "trdDt", "trdTm", "orgTrdDt", "trdDtm", "trDt", "orgTrDt", "authDt", "cnclOrd",
        # money
        "trdAmt", "cnclAmt", "blcAmt", "cardCnclAmt", "pntCnclAmt", "coupCnclAmt", "dcCnclAmt", "taxAmt", "vatAmt",
        "taxFreeAmt", "svcAmt", "taxTypeCd", "taxYn", "amt", "vat", "crcCd", "cardTrdAmt", "pointTrdAmt", "dcTrdAmt",
        # how
        "instmtMon", "intMon", "issrId", "cardNm", "cardKind", "ninstmtTypeCd", "apprNo", "authNo", "fnCd", "fnNm",
        "bankCd", "acntType", "expireDate", "expireDt", "telecomCd", "telCo", "keyRegYn", "cardGb", "cardType",
        "assort", "linkMethod", "rfdPsblCd", "refundBankCd", "dcYn", "dcCnclYn",
        # where to; the addresses that the browser comes back to carry a secret of the payment
        "notiUrl",
        # what was said
        "outStatCd", "outRsltCd", "outRsltMsg", "resultCd", "resultMsg",
    }
)  # fmt: skip
"""Fields whose values are kept. Card number, expiry, birth date, password, billing key, names, addresses, telephone
and account numbers are not among them."""
SEAL = "pktHash"
HIDDEN = "***"
LONGEST = 200


def kept(wire: Mapping[str, str], clear: Mapping[str, str], encrypted: frozenset[str] = frozenset()) -> dict[str, str]:
    """The fields of a message as they may be kept: of the *clear* ones those on the list, the hash shortened.

    *wire* has every field as it travels; *encrypted* names those that travel as ciphertext.
    """
    found: dict[str, str] = {}
    for name, value in wire.items():
        if name in SHOWN and (name in clear or name not in encrypted):
            plain = clear.get(name, value)
            found[name] = logs.scrub(plain)[:LONGEST]
        elif name == SEAL:
            found[name] = f"{value[:8]}…"
        else:
            found[name] = HIDDEN
    return found


_ENCRYPTED = {m.id: frozenset(f.name for f in m.request if f.aes is not Aes.PLAIN) for m in BY_ID.values()}


def encrypted(message: Message) -> frozenset[str]:
    """The request's fields that travel as ciphertext."""
    return _ENCRYPTED[message.id]
