"""The V1 API as a document: ``/openapi.json`` for programs, ``/docs`` for people, both from ``v1.json``.

The table says of every path and parameter whether it is supported, accepted and ignored (why), or
refused. A test compares it with PortOne's published facts and with what the server does.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

from litestar import Response, get

from naru.api import answers
from naru.api.guard import ApiRequest, context
from naru.api.templates import template

Json = dict[str, Any]
_PAGE = template("docs.html")
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
WORDS: Final[dict[str, dict[str, str]]] = {
    "ko": {
        "title": "나루 V1 API",
        "intro": "PortOne V1 REST API와 같은 경로와 항목입니다. 항목마다 지원 여부를 적었습니다.",
        "supported": "지원",
        "ignored": "받지만 쓰지 않음",
        "refused": "거절",
        "extension": "나루 확장",
        "required": "필수",
        "name": "항목",
        "type": "형식",
        "how": "지원",
        "other": "English",
        "play": "결제 시험장",
        "raw": "OpenAPI 문서",
        "none": "항목이 없습니다.",
        "answers": "응답 상태",
    },
    "en": {
        "title": "Naru V1 API",
        "intro": "The paths and parameters of PortOne's V1 REST API, and what Naru does with each.",
        "supported": "supported",
        "ignored": "accepted and ignored",
        "refused": "refused",
        "extension": "Naru's own",
        "required": "required",
        "name": "Parameter",
        "type": "Type",
        "how": "Support",
        "other": "한국어",
        "play": "Playground",
        "raw": "OpenAPI document",
        "none": "No parameters.",
        "answers": "Answers",
    },
}


@cache
def table() -> Json:
    """Every operation with its parameters, and the structures of the answers."""
    return cast("Json", json.loads(files("naru.api").joinpath("v1.json").read_text("utf-8")))


def how(p: Json, language: str) -> str:
    """What Naru does with a parameter, in words."""
    w = WORDS[language]
    if "ignored" in p:
        return f"{w['ignored']}: {p['ignored'][language]}"
    if "naru" in p:
        return f"{w['extension']}: {p['naru'][language]}"
    return w["supported"]


def _schema(kind: Any) -> Json:
    match kind:
        case ["array", inner] | [inner]:
            return {"type": "array", "items": _schema(inner)}
        case dict():
            fields = cast("Json", kind)
            return {"type": "object", "properties": {name: _schema(k) for name, k in fields.items()}}
        case "string" | "integer" | "number" | "boolean" | "object":
            return {"type": kind if kind in ("boolean", "object") else [kind, "null"]}
        case str() if kind in table()["definitions"]:
            return {"$ref": f"#/components/schemas/{kind}"}
        case _:
            return {}


def _operation(o: Json) -> Json:
    outside = [p for p in o["params"] if p["in"] != "body"]
    inside = [p for p in o["params"] if p["in"] == "body"]
    done: Json = {
        "operationId": f"{o['method']}{o['path']}",
        "parameters": [
            {
                "name": p["name"],
                "in": p["in"],
                "required": p["in"] == "path" or bool(p.get("required")),
                "description": how(p, "ko"),
                "schema": _parameter(p),
            }
            for p in outside
        ],
        "responses": {status: _answer(o, status) for status in o["statuses"]},
    }
    if o["path"] != "/users/getToken":
        done["security"] = [{"token": []}]
    if inside:
        body: Json = {
            "type": "object",
            "properties": {p["name"]: {**_parameter(p), "description": how(p, "ko")} for p in inside},
            "required": [p["name"] for p in inside if p.get("required")],
        }
        kinds = ("application/json", "application/x-www-form-urlencoded")
        done["requestBody"] = {"content": {kind: {"schema": body} for kind in kinds}}
    return done


def _parameter(p: Json) -> Json:
    kind: Any = p["type"]
    if isinstance(kind, str) and kind in ("string", "integer", "number", "boolean"):
        return {"type": kind, **({"enum": p["enum"]} if "enum" in p else {})}
    return _schema(kind)


def _answer(o: Json, status: str) -> Json:
    fields: Json = {"code": {"type": "integer"}, "message": {"type": ["string", "null"]}, "response": {}}
    named = o["response"] if status in ("200", "207") else None
    schema: Json = {"$ref": f"#/components/schemas/{named}"} if named else {"type": "object", "properties": fields}
    return {
        "description": "OK" if status in ("200", "207") else "Error",
        "content": {"application/json": {"schema": schema}},
    }


@cache
def document() -> Json:
    """The OpenAPI 3.1 document."""
    paths: Json = {}
    for o in table()["operations"]:
        paths.setdefault(o["path"], {})[o["method"]] = _operation(o)
    schemas = {
        name: {
            "type": "object",
            "properties": {field: _schema(kind) for field, kind in d.get("properties", {}).items()},
        }
        for name, d in table()["definitions"].items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Naru: PortOne V1 REST API on Hecto Financial", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "Authorization"}},
        },
    }


@get("/openapi.json")
async def openapi(request: ApiRequest) -> Response[bytes]:
    """The document for programs."""
    body = {**document(), "servers": [{"url": context(request).public_url}]}
    return Response(json.dumps(body, ensure_ascii=False).encode(), media_type=answers.JSON)


@get("/docs")
async def docs(request: ApiRequest) -> Response[str]:
    """The document for people: one page without script."""
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "ko")
    language = "ko" if asked[:2].lower() in ("ko", "*", "") else "en"
    page = _PAGE.render(
        t=WORDS[language], lang=language, operations=table()["operations"], how=how,
        development=context(request).development,
    )  # fmt: skip
    return Response(page, media_type="text/html; charset=UTF-8", headers=HEADERS)


HANDLERS = [openapi, docs]
