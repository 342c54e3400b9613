"""What PortOne has and Hecto's channels do not: answered with PortOne's kind of error, never with a 500.

Every path asks for the token first, as every other does, so that a client sees what it would see at
PortOne with a channel that cannot do this.
"""

from __future__ import annotations

from typing import Final

from litestar import HttpMethod, Response, get, post, route
from litestar.params import FromPath

from naru.api import answers
from naru.api.guard import ApiRequest, caller

NO_CERTIFICATION: Final = "인증결과가 존재하지 않습니다."
NO_IDENTITY: Final = "등록된 본인인증 채널이 없습니다. (헥토파이낸셜 채널은 본인인증을 제공하지 않습니다)"
NO_FOREIGN: Final = "카드정보 인증에 실패하였습니다. (헥토파이낸셜 채널은 해외카드 API 결제를 제공하지 않습니다)"
ELSEWHERE: Final = {
    "/kakao": "카카오페이 전용 API입니다.",
    "/naver": "네이버페이 전용 API입니다.",
    "/payco": "PAYCO 전용 API입니다.",
    "/cvs": "편의점 결제를 지원하는 결제대행사의 전용 API입니다.",
    "/kcpquick": "KCP 퀵페이 전용 API입니다.",
    "/benepia": "베네피아 전용 API입니다.",
    "/paymentwall": "페이먼트월 전용 API입니다.",
    "/partners": "파트너 정산 전용 API입니다.",
    "/promotions": "프로모션 전용 API입니다.",
}
"""First path segment → whose it is. PortOne's own features, or other payment companies'."""
_ANY: Final = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE]


@route(
    ["/certifications", "/certifications/{imp_uid:str}"],
    http_method=[HttpMethod.GET, HttpMethod.DELETE],
    status_code=404,
)
async def certification(request: ApiRequest, imp_uid: FromPath[str] = "") -> Response[bytes]:
    """GET, DELETE /certifications/{imp_uid}: nobody was identified here (clients compare the words)."""
    del imp_uid
    await caller(request)
    return answers.fail(NO_CERTIFICATION, status=404)


@post(["/certifications/otp/request/{imp_uid:str}", "/certifications/otp/confirm/{imp_uid:str}"], status_code=400)
async def one_time_password(request: ApiRequest, imp_uid: FromPath[str]) -> Response[bytes]:
    """POST /certifications/otp/…"""
    del imp_uid
    await caller(request)
    return answers.fail(NO_IDENTITY, status=400)


@post("/subscribe/payments/foreign", status_code=200)
async def foreign(request: ApiRequest) -> Response[bytes]:
    """POST /subscribe/payments/foreign, an undocumented path that old clients call."""
    await caller(request)
    return answers.fail(NO_FOREIGN)


@route([path for first in ELSEWHERE for path in (first, f"{first}/{{rest:path}}")], http_method=_ANY, status_code=404)
async def elsewhere(request: ApiRequest, rest: FromPath[str] = "") -> Response[bytes]:
    """Anything under another payment company's name."""
    del rest
    await caller(request)
    first = "/" + request.scope["path"].split("/")[1]
    return answers.fail(f"{ELSEWHERE[first]} 헥토파이낸셜 채널에서는 지원하지 않습니다.", status=404)


@get("/payments/{imp_uid:str}/naver/{rest:path}", status_code=404)
async def naver_of_payment(request: ApiRequest, imp_uid: FromPath[str], rest: FromPath[str]) -> Response[bytes]:
    """Naver Pay's details of a payment."""
    del imp_uid, rest
    await caller(request)
    return answers.fail(f"{ELSEWHERE['/naver']} 헥토파이낸셜 채널에서는 지원하지 않습니다.", status=404)


HANDLERS = [certification, one_time_password, foreign, elsewhere, naver_of_payment]
