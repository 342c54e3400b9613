"""``/cards`` and ``/banks``: PortOne's standard codes, all or one. ``/tiers``: there are none."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath

from naru.api import answers, wire
from naru.api.guard import ApiRequest, caller
from naru.domain import standard
from naru.domain.refusal import Refused, Why


def _one(table: dict[str, str], code: str, what: str) -> dict[str, str]:
    code = wire.segment(code).strip()
    name = table.get(code) or table.get(code.zfill(3))
    if name is None:
        raise Refused(Why.NOT_FOUND, what=f"존재하지 않는 {what} 표준코드입니다.")
    return {"code": code if code in table else code.zfill(3), "name": name}


def _all(table: dict[str, str]) -> list[dict[str, str]]:
    return [{"code": code, "name": name} for code, name in table.items()]


@get("/cards")
async def cards(request: ApiRequest) -> Response[bytes]:
    """GET /cards."""
    await caller(request)
    return answers.ok(_all(standard.CARDS))


@get("/cards/{code:str}")
async def card(request: ApiRequest, code: FromPath[str]) -> Response[bytes]:
    """GET /cards/{card_standard_code}."""
    await caller(request)
    return answers.ok(_one(standard.CARDS, code, "카드사"))


@get("/banks")
async def banks(request: ApiRequest) -> Response[bytes]:
    """GET /banks."""
    await caller(request)
    return answers.ok(_all(standard.BANKS))


@get("/banks/{code:str}")
async def bank(request: ApiRequest, code: FromPath[str]) -> Response[bytes]:
    """GET /banks/{bank_standard_code}."""
    await caller(request)
    return answers.ok(_one(standard.BANKS, code, "은행"))


@get("/tiers/{code:str}")
async def tier(request: ApiRequest, code: FromPath[str]) -> Response[bytes]:
    """GET /tiers/{tier_code}: sub-merchants are not supported, so no code is known."""
    del code
    await caller(request)
    raise Refused(Why.NOT_FOUND, what="존재하지 않는 하위상점(Tier) 코드입니다.")


HANDLERS = [cards, card, banks, bank, tier]
