"""Our V1 document against PortOne's published facts, against our code, and against the running server.

`docs/conformance.ko.md` and `docs/conformance.en.md` are what `page()` writes; `python -m tests.api.test_conformance`
writes them anew.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.live import Live

from naru.api import openapi

ROOT = Path(__file__).parents[2]
CONTRACT = json.loads((ROOT / "tests/contract/portone-v1-contract.json").read_text("utf-8"))
OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {(o["method"], o["path"]): o for o in openapi.table()["operations"]}
INTRO_KO = """# PortOne V1 적합성

PortOne이 공개한 V1 규격의 모든 경로와 항목을 나루가 어떻게 다루는지 적었습니다. 시험이 이 쪽을 만들고 확인합니다.

헥토파이낸셜 채널이 제공하지 않는 `/certifications`, `/kakao`, `/naver`, `/payco`, `/cvs`, `/kcpquick`, `/benepia`,
`/paymentwall`, `/partners`, `/promotions`, `/subscribe/payments/foreign`은 PortOne과 같은 종류의 오류로 답합니다.
"""
INTRO_EN = """# PortOne V1 conformance

What Naru does with every path and parameter that PortOne publishes for V1. A test writes and checks this page.

What Hecto's channels do not offer (`/certifications`, `/kakao`, `/naver`, `/payco`, `/cvs`, `/kcpquick`, `/benepia`,
`/paymentwall`, `/partners`, `/promotions`, `/subscribe/payments/foreign`) answers with PortOne's kind of error.
"""


def page(language: str) -> str:
    """The conformance page."""
    w = openapi.WORDS[language]
    lines = [INTRO_KO if language == "ko" else INTRO_EN]
    for (method, path), o in OPERATIONS.items():
        lines += [f"## {method.upper()} `{path}`", ""]
        if "refused" in o:
            lines += [f"{w['refused']}: {o['refused'][language]}", ""]
        if "note" in o:
            lines += [o["note"][language], ""]
        if o["params"]:
            lines += [f"| {w['name']} | {w['how']} |", "|---|---|"]
            for p in o["params"]:
                must = f" ({w['required']})" if p.get("required") else ""
                lines.append(f"| `{p['name']}`{must} | {openapi.how(p, language)} |")
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def test_every_published_path_and_parameter_is_accounted_for() -> None:
    for path, methods in CONTRACT["paths"].items():
        for method, facts in methods.items():
            ours = OPERATIONS[method, path]
            named = {p["name"] for p in ours["params"]}
            assert set(facts["params"]) <= named, (method, path)
            required = {n for n, f in facts["params"].items() if f.get("required")}
            assert {p["name"] for p in ours["params"] if p.get("required")} <= required, (method, path)
            assert set(facts["responses"]) <= set(ours["statuses"]), (method, path)


def test_every_published_field_of_an_answer_is_in_our_document() -> None:
    schemas = openapi.document()["components"]["schemas"]
    for name, facts in CONTRACT["definitions"].items():
        assert set(facts.get("properties", {})) <= set(schemas[name]["properties"]), name


def test_what_counts_as_supported_is_read_somewhere() -> None:
    """A parameter that no code names cannot be supported."""
    source = "\n".join(p.read_text("utf-8") for p in (ROOT / "src/naru/api").glob("*.py"))
    for (method, path), o in OPERATIONS.items():
        for p in o["params"]:
            if p["in"] == "path" or "ignored" in p or "refused" in o:
                continue
            name = p["name"].removesuffix("[]")
            assert re.search(rf'"{re.escape(name)}"', source), (method, path, name)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_is_what_the_table_says(language: str) -> None:
    assert (ROOT / f"docs/conformance.{language}.md").read_text("utf-8") == page(language)


def test_every_path_is_served_and_none_breaks(naru: Live) -> None:
    for method, path in OPERATIONS:
        asked = re.sub(r"\{[^}]*\}", "nobody", path)
        bare = naru.send(method.upper(), asked)
        if path != "/users/getToken":
            assert bare.status == 401, (method, path)
        answer = naru.call(method.upper(), asked, {} if method in ("post", "put") else None)
        assert answer.status in (200, 400, 404), (method, path, answer.status)
        assert answer.message not in ("존재하지 않는 경로입니다.", "지원하지 않는 HTTP 메서드입니다."), (method, path)
        assert set(answer.json) == {"code", "message", "response"}


def test_the_document_can_be_fetched_and_browsed(naru: Live) -> None:
    fetched = naru.send("GET", "/openapi.json").json
    assert fetched["openapi"] == "3.1.0"
    assert fetched["servers"] == [{"url": naru.url}]
    assert set(fetched["paths"]) == set(CONTRACT["paths"])
    for language, words in (("ko", "받지만 쓰지 않음"), ("en", "accepted and ignored")):
        shown = naru.send("GET", f"/docs?lang={language}")
        assert shown.status == 200
        assert words in shown.body.decode()
        assert "script" not in shown.headers["content-security-policy"]
        assert "<script" not in shown.body.decode()
    assert naru.send("GET", "/sdk/docs.css").status == 200


if __name__ == "__main__":
    for language in ("ko", "en"):
        (ROOT / f"docs/conformance.{language}.md").write_text(page(language), "utf-8")
