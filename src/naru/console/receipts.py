"""현금영수증: a payment's cash receipts, issued and taken back by people."""

from __future__ import annotations

import re
from typing import Any, Final

from litestar.exceptions import HTTPException

from naru.console.visit import Answer, Visit, action
from naru.domain.outcome import Declined, Sealed
from naru.domain.payment import State
from naru.domain.receipts import Identifier, Kind, check_identifier
from naru.service import console_alarms, receipts
from naru.service.receipts import Answered, Buyer
from naru.store import console

IDENTIFIERS: Final = (Identifier.PHONE, Identifier.BUSINESS, Identifier.CARD, Identifier.PERSON)
KINDS: Final = (Kind.PERSON, Kind.COMPANY)


async def _of(visit: Visit) -> str:
    whole = await visit.cx.db.read(console.whole, visit.here.id, visit.param("imp_uid"))
    if whole is None:
        raise HTTPException(status_code=404)
    visit.back = f"{visit.base}/payments/{whole.row.imp_uid}#receipts"
    return whole.row.imp_uid


async def _said(visit: Visit, done: Answered, what: str, imp_uid: str) -> Answer:
    detail: dict[str, Any] = {"receipt": done.row.id, "result": done.row.state}
    await console_alarms.note(visit.cx, visit.actor, what, imp_uid, visit.here.id, detail)
    if done.row.state == State.DONE:
        return await visit.go(visit.back, f"receipts.{what}_done")
    if isinstance(done.outcome, Declined):
        facts = {"code": done.outcome.code, "text": done.outcome.message}
        return await visit.go(visit.back, "receipts.declined", "bad", **facts)
    if done.row.state == State.NOT_SENT:
        return await visit.go(visit.back, "receipts.not_sent", "bad")
    return await visit.go(visit.back, "receipts.unknown", "plain")


@action("/payments/{imp_uid:str}/receipts")
async def issue(visit: Visit) -> Answer:
    """Issue one. The identifier goes to Hecto and is kept masked; the log of changes does not have it at all."""
    imp_uid = await _of(visit)
    kind, form = visit.form.text("identifier_type", 12), visit.form
    if kind not in IDENTIFIERS or form.text("kind", 12) not in KINDS:
        return visit.to(visit.back)
    digits = re.sub(r"[\s-]", "", form.text("identifier", 30))
    check_identifier(Identifier(kind), digits)
    buyer = Buyer(
        identifier=Sealed(digits), identifier_type=Identifier(kind), kind=Kind(form.text("kind", 12)),
        name=form.text("buyer_name", 30) or None,
    )  # fmt: skip
    done = await receipts.issue(
        visit.cx, visit.here.id, imp_uid, buyer, tax_free=None, vat=None, pg_tid=form.text("pg_tid", 64) or None
    )
    return await _said(visit, done, "receipt_issued", imp_uid)


@action("/payments/{imp_uid:str}/receipts/cancel")
async def take_back(visit: Visit) -> Answer:
    """Take one back."""
    imp_uid = await _of(visit)
    done = await receipts.cancel(visit.cx, visit.here.id, imp_uid=imp_uid, pg_tid=visit.form.text("pg_tid", 64) or None)
    return await _said(visit, done, "receipt_cancelled", imp_uid)
