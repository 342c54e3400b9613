# ruff: noqa: E501 - what is replaced stands as it stands there
"""Plants one mistake at a time in a copy of the code and sees that the models notice it.

    python -m tests.model.mutants              # all of them (about a quarter of an hour on two cores)
    python -m tests.model.mutants outbox wire  # these models only

A mistake that lives is a rule that no model knows. The table of the last run is in docs/reliability.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST_S = 600
MODELS = {
    "fold": ("tests/unit/test_payment.py",),
    "gateway": ("tests/model/test_gateway_model.py", "-k", "sqlite"),
    "accounts": ("tests/model/test_account_model.py", "-k", "sqlite"),
    "bank": ("tests/model/test_bank_model.py", "-k", "sqlite"),
    "outbox": ("tests/model/test_outbox_model.py", "-k", "sqlite"),
    "wire": ("tests/model/test_wire_model.py",),
    "messages": ("tests/unit/test_hecto_messages.py", "tests/contract/test_hecto_vectors.py"),
}
"""Each model and how it is run. One database is enough to show that a rule is watched."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing done wrong, in one file."""

    model: str
    what: str
    file: str
    right: str
    wrong: str


PAYMENT, VBANK = "domain/payment.py", "domain/vbank.py"
SETTLE, CANCEL, DEPOSITS = "service/settle.py", "service/cancel.py", "service/deposits.py"
RECONCILE, MAIL, WIRE = "service/reconcile.py", "store/mail.py", "api/wire.py"
MESSAGES, CRYPTO = "connectors/hecto/messages.py", "connectors/hecto/crypto.py"

BUSY = "    if p.open_work:\n        raise Refused(Why.CANCEL_BUSY)\n"
OPEN_WORK = (
    "        return next((a for a in self.attempts if a.op in (Op.CANCEL, Op.CHANGE, Op.REVOKE) and a.is_open), None)\n"
)
"""Two places look at it: who waits for his turn, and the rule itself."""
MISTAKES = (
    Mistake("fold", "an approval of another amount pays", PAYMENT,
            "            if outcome.amount != attempt.amount:\n                return Applied(\n                    unless_final(p, attempt, State.UNKNOWN, None, \"승인 금액 불일치\", now),",
            "            if False:\n                return Applied(\n                    unless_final(p, attempt, State.UNKNOWN, None, \"승인 금액 불일치\", now),"),
    Mistake("fold", "the same entry twice counts twice", PAYMENT,
            "        if any(e.id == entry.id for e in self.entries):\n            return self\n", ""),
    Mistake("fold", "two cancels may be open", PAYMENT, BUSY, ""),
    Mistake("fold", "a cancel found twice counts twice", PAYMENT,
            "    if total == ours:\n        return Applied(p)\n    if total < ours:", "    if total < ours:"),
    Mistake("fold", "more than is left may be asked for", PAYMENT,
            "    if not 0 < want <= of_trade:", "    if not 0 < want:"),
    Mistake("fold", "a late approval overrules what was told", PAYMENT,
            "                elif p.void in (Void.NO, Void.TRIAL) and attempt.told is Told.FAILED:",
            "                elif False:"),
    Mistake("gateway", "no busy check: two cancels may be open", PAYMENT, OPEN_WORK, "        return None\n"),
    Mistake("gateway", "the cancel's round counts refused ones too", PAYMENT,
            "a.org_tid == tid and a.state is State.DONE)", "a.org_tid == tid)"),
    Mistake("gateway", "the cancel's round is always the first", PAYMENT,
            "        return 1 + sum(1 for a in self.attempts if a.op is Op.CANCEL and a.org_tid == tid and a.state is State.DONE)",
            "        return 1"),
    Mistake("gateway", "an approval that was told as failed is kept", PAYMENT,
            "                elif p.void in (Void.NO, Void.TRIAL) and attempt.told is Told.FAILED:",
            "                elif False:"),
    Mistake("fold", "a second approval of an order is kept", PAYMENT,
            "                if p.void is Void.NO and paid_by_other:", "                if False:"),
    Mistake("gateway", "no answer is taken for a refusal", PAYMENT,
            "unless_final(p, attempt, State.UNKNOWN, outcome.code or None, outcome.message, now), alarm)\n        case _:\n            assert_never(outcome)\n\n\ndef apply_cancel",
            "unless_final(p, attempt, State.DECLINED, outcome.code or None, outcome.message, now), alarm)\n        case _:\n            assert_never(outcome)\n\n\ndef apply_cancel"),
    Mistake("gateway", "a cancel without an answer is taken for refused", PAYMENT,
            "unless_final(p, attempt, State.UNKNOWN, outcome.code or None, outcome.message, now), alarm)\n        case _:\n            assert_never(outcome)\n\n\ndef _asked_again",
            "unless_final(p, attempt, State.DECLINED, outcome.code or None, outcome.message, now), alarm)\n        case _:\n            assert_never(outcome)\n\n\ndef _asked_again"),
    Mistake("gateway", "what is taken back is not owed", SETTLE,
            "    if not p.voided or not p.left or p.open_cancel:\n        return p, alarms, {}\n",
            "    if True:\n        return p, alarms, {}\n"),
    Mistake("gateway", "an entry owes no webhook", SETTLE,
            "        if entry.id in known:\n            continue\n", "        continue\n"),
    Mistake("gateway", "one denial is believed", RECONCILE,
            "denials + 1 >= DENIALS", "denials + 1 >= 0"),
    Mistake("accounts", "a deposit told twice counts twice", VBANK,
            "    known = next((e for e in p.entries if e.id == deposit.id), None)\n", "    known = None\n    deposit = replace(deposit, id=f\"{deposit.id}:{len(p.entries)}\")\n"),
    Mistake("accounts", "a refund found by asking is counted again by its noti", DEPOSITS,
            "    if any(not e.pg_tid and e.amount == amount for e in back):", "    if False:"),
    Mistake("accounts", "an account that was told as failed stays open", SETTLE,
            "        return (p.with_attempt(revoke) if revoke is not None else p), alarms, {}",
            "        return p, alarms, {}"),
    Mistake("accounts", "two refunds may be open", PAYMENT, OPEN_WORK, "        return None\n"),
    Mistake("bank", "a deposit told twice counts twice", VBANK,
            "    known = next((e for e in p.entries if e.id == deposit.id), None)\n", "    known = None\n    deposit = replace(deposit, id=f\"{deposit.id}:{len(p.entries)}\")\n"),
    Mistake("bank", "an account that was told as failed stays open", SETTLE,
            "        return (p.with_attempt(revoke) if revoke is not None else p), alarms, {}",
            "        return p, alarms, {}"),
    Mistake("bank", "the refund's round is always the first", PAYMENT,
            "        return 1 + sum(1 for a in self.attempts if a.op is Op.CANCEL and a.org_tid == tid and a.state is State.DONE)",
            "        return 1"),
    Mistake("bank", "a refund without an answer is taken for refused", PAYMENT,
            "unless_final(p, attempt, State.UNKNOWN, outcome.code or None, outcome.message, now), alarm)\n        case _:\n            assert_never(outcome)\n\n\ndef _asked_again",
            "unless_final(p, attempt, State.DECLINED, outcome.code or None, outcome.message, now), alarm)\n        case _:\n            assert_never(outcome)\n\n\ndef _asked_again"),
    Mistake("bank", "a deposit that the bank takes back stays", VBANK,
            "    entry_id = f\"reversal:{deposit.id}\"\n", "    return Applied(p)\n    entry_id = f\"reversal:{deposit.id}\"\n"),
    Mistake("bank", "any amount pays", PAYMENT,
            "(e for e in counts if e.amount == self.amount)", "(e for e in counts if e.amount)"),
    Mistake("bank", "an issue without an answer is taken for refused", VBANK,
            "            alarm = f\"가상계좌 발급 응답이 요청과 일치하지 않습니다: {outcome.message}\" if outcome.mismatch else None\n            return Applied(unless_final(p, attempt, State.UNKNOWN,",
            "            alarm = None\n            return Applied(unless_final(p, attempt, State.DECLINED,"),
    Mistake("bank", "a change that was made is not written down", VBANK,
            "            return Applied(replace(p, amount=attempt.amount, due=due))", "            return Applied(p)"),
    Mistake("bank", "nobody reads the day's list", "service/statements.py",
            "        await deposits.absorb_listed(cx, channel, theirs, since)\n", ""),
    Mistake("bank", "a noti is answered OK and not read", "service/notices.py",
            "    cx.crash(\"letter stored\")\n", "    cx.crash(\"letter stored\")\n    return True\n"),
    Mistake("bank", "the checksum is not compared", PAYMENT,
            "    if checksum and checksum != p.left:", "    if False:"),
    Mistake("bank", "the banks' closing hours are forgotten", VBANK,
            "    if closed(now):\n        raise Refused(Why.BANK_CLOSED, **facts)\n", ""),
    Mistake("outbox", "claiming sets no lease", MAIL,
            "    .values(run_at=bindparam(\"lease_until\"), tries=jobs.c.tries + 1)",
            "    .values(run_at=bindparam(\"lease_until\") * 0 + jobs.c.run_at, tries=jobs.c.tries + 1)"),
    Mistake("outbox", "who has lost a job may tick it off", MAIL,
            "jobs.c.tries == bindparam(\"taken\"), jobs.c.state == \"open\")",
            "jobs.c.tries >= bindparam(\"taken\"), jobs.c.state == \"open\")"),
    Mistake("outbox", "a failed job is given up", MAIL,
            "    state = \"open\" if run_at is not None else \"dead\"", "    state = \"dead\""),
    Mistake("outbox", "a job that is not due is handed out", MAIL,
            "jobs.c.run_at <= bindparam(\"due\")", "jobs.c.run_at <= bindparam(\"due\") + 30000"),
    Mistake("outbox", "the newest is handed out first", MAIL,
            "            .order_by(jobs.c.run_at)\n            .limit(bindparam(\"most\"))\n            .with",
            "            .order_by(jobs.c.run_at.desc())\n            .limit(bindparam(\"most\"))\n            .with"),
    Mistake("outbox", "a kind takes another kind's jobs", MAIL,
            ".where(jobs.c.run_at <= bindparam(\"due\"), jobs.c.kind.in_(bindparam(\"kinds\", expanding=True)))",
            ".where(jobs.c.run_at <= bindparam(\"due\"), jobs.c.kind.in_(bindparam(\"kinds\", expanding=True)) | (jobs.c.kind == \"look\"))"),
    Mistake("wire", "a thousand separator is read as a number", WIRE,
            "value.isascii() and _INTEGER.match(value.strip())", "_INTEGER.match(value.strip().replace(\",\", \"\"))"),
    Mistake("wire", "a negative amount passes", WIRE,
            "not 0 <= value <= MAX_WON:", "not value <= MAX_WON:"),
    Mistake("wire", "a numbered list is read in the order it came", WIRE,
            "for k in sorted(items, key=int)]", "for k in items]"),
    Mistake("wire", "a numbered list is sorted as text", WIRE,
            "for k in sorted(items, key=int)]", "for k in sorted(items)]"),
    Mistake("wire", "an empty text counts as given", WIRE,
            "        return self.values.get(name) not in (None, \"\")", "        return self.values.get(name) is not None"),
    Mistake("wire", "a NUL stays", WIRE,
            "            if b\"u0000\" in stripped:\n                decoded = clean(decoded)\n", ""),
    Mistake("wire", "milliseconds are taken for seconds", WIRE,
            "        if value > 10**11:", "        if value > 10**14:"),
    Mistake("messages", "a seal is not compared", CRYPTO,
            "    return hmac.compare_digest(one.lower().encode(), other.lower().encode())", "    return bool(one)"),
    Mistake("messages", "fields are sealed in another order", CRYPTO,
            "def seal(parts: Iterable[str], hash_key: str) -> str:", "def seal(parts: Iterable[str], hash_key: str) -> str:\n    parts = sorted(parts)\n    return _seal(parts, hash_key)\n\n\ndef _seal(parts: Iterable[str], hash_key: str) -> str:"),
    Mistake("messages", "a field is sealed after it was encrypted", CRYPTO,
            "    raw = text.encode()\n    pad", "    raw = text.upper().encode()\n    pad"),
)  # fmt: skip


def planted(mistake: Mistake, home: Path) -> Path:
    """A copy of the code with the mistake in it."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(ROOT / "src", home / "src", ignore=shutil.ignore_patterns("__pycache__"))
    file = home / "src" / "naru" / mistake.file
    text = file.read_text("utf-8")
    if text.count(mistake.right) != 1:
        raise LookupError(f"{mistake.what}: {mistake.file} has changed, plant the mistake anew")
    file.write_text(text.replace(mistake.right, mistake.wrong), "utf-8")
    return home / "src"


def noticed(mistake: Mistake, home: Path) -> bool:
    """Whether its model fails with the mistake in the code."""
    src = planted(mistake, home)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--hypothesis-profile=found",
               *MODELS[mistake.model]]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(src), "HYPOTHESIS_STORAGE_DIRECTORY": str(home / "hypothesis"),
           "NARU_MODEL_EXAMPLES": "60"}  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{mistake.what}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 1


def main(models: list[str]) -> int:
    """Plant and see. 1 when a mistake lives."""
    alive = 0
    with tempfile.TemporaryDirectory(prefix="naru-mutants-") as place:
        for mistake in MISTAKES:
            if models and mistake.model not in models:
                continue
            started = time.monotonic()
            caught = noticed(mistake, Path(place) / "code")
            alive += not caught
            seconds = time.monotonic() - started
            print(
                f"| {mistake.model} | {mistake.what} | {'caught' if caught else 'LIVES'} | {seconds:.0f} s |",
                flush=True,
            )
    return min(alive, 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
