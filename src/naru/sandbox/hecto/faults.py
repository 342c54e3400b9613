"""Named faults: what a PG, a network or a noti can do wrong, on request.

Each is asked for by name, for a message (or any), once, several times, or at a seeded rate. They
live in memory: a restarted sandbox behaves.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from naru.connectors.hecto.messages import BY_ID, BY_NAME, Message

EXCHANGE: Mapping[str, str] = {
    "request_lost": "요청이 도착하지 않음: 처리하지 않고 연결을 닫음",
    "reset_before": "처리하기 전에 연결을 끊음 (RST)",
    "reset_after": "처리한 뒤 연결을 끊음 (RST)",
    "answer_lost": "처리한 뒤 응답하지 않음",
    "delay": "ms 만큼 늦게 응답 (where=before: 늦게 처리)",
    "half_body": "처리한 뒤 응답을 절반만 보냄",
    "euc_kr": "응답을 EUC-KR로 보냄",
    "http_500": "HTTP 500으로 응답 (where=before: 처리하지 않음)",
    "unknown_code": "모르는 결과코드로 응답 (where=before: 처리하지 않음)",
    "error_code": "처리하지 않고 code의 결과코드로 응답",
    "wrong_amount": "처리한 뒤 다른 금액으로 응답 (해쉬는 맞음)",
    "wrong_ids": "처리한 뒤 다른 주문번호로 응답 (해쉬는 맞음)",
    "wrong_hash": "처리한 뒤 틀린 해쉬로 응답",
    "late_processing": "연결을 끊고 ms 뒤에 처리됨 (after_inquiry: 조회에서 없다고 답한 뒤에)",
    "noti_early": "응답보다 결과통보를 먼저 보냄",
}
NOTI: Mapping[str, str] = {
    "noti_lost": "결과통보를 보내지 않음 (attempts: 처음 몇 번만)",
    "noti_doubled": "결과통보를 두 번 보냄",
    "noti_late": "결과통보를 ms 만큼 늦게 보냄",
    "noti_reordered": "다음 결과통보를 먼저 보냄 (ms 까지 기다림)",
    "noti_altered": "결과통보의 금액을 바꿔 보냄 (해쉬는 원래 값)",
    "noti_forged": "다른 키로 서명한 결과통보를 보냄",
    "noti_other_mid": "다른 상점아이디와 그 키로 서명한 결과통보를 보냄",
}
NAMES = {**EXCHANGE, **NOTI}
_DEFAULT_MS = {"delay": 1_000, "late_processing": 1_000, "noti_late": 5_000, "noti_reordered": 3_000}


@dataclass(slots=True)
class Fault:
    id: int
    name: str
    message: str  # M-id, name or path stem of a message; empty: any
    mid: str
    mcht_trd_no: str
    times: int  # how often it still happens
    rate: float  # below 1: at random, from the seed
    ms: int
    code: str
    text: str
    where: str  # before or after processing; empty: the fault's own way
    after_inquiry: bool
    attempts: int  # noti_lost: so many attempts; 0: the noti is lost for good
    dice: random.Random = field(repr=False)
    played: int = 0

    def fits(self, message: Message | None, mid: str, mcht_trd_no: str) -> bool:
        if self.mid and self.mid != mid:
            return False
        if self.mcht_trd_no and self.mcht_trd_no != mcht_trd_no:
            return False
        if not self.message:
            return True
        return message is not None and self.message in (message.id, message.name, _stem(message.path))

    def shown(self) -> dict[str, object]:
        return {
            "id": self.id,
            "name": self.name,
            "message": self.message or "any",
            "mid": self.mid,
            "mchtTrdNo": self.mcht_trd_no,
            "times": self.times,
            "rate": self.rate,
            "ms": self.ms,
            "code": self.code,
            "where": self.where,
            "after_inquiry": self.after_inquiry,
            "played": self.played,
        }


class Faults:
    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._made = 0

    def add(self, wanted: Mapping[str, object]) -> Fault:
        """Raises ValueError, naming what is wrong."""
        known = {
            *("name", "message", "mid", "mchtTrdNo", "times", "rate", "seed", "ms"),
            *("code", "text", "where", "after_inquiry", "attempts"),
        }
        if wanted.keys() - known:
            raise ValueError(f"unknown: {', '.join(sorted(wanted.keys() - known))}")
        name = str(wanted.get("name") or "")
        if name not in NAMES:
            raise ValueError(f"no fault {name!r}; there are {', '.join(NAMES)}")
        message = str(wanted.get("message") or "")
        message = "" if message == "any" else message
        stems = {_stem(m.path) for m in BY_ID.values() if m.path}
        if message and message not in BY_ID and message not in BY_NAME and message not in stems:
            raise ValueError(f"no message {message!r}")
        where = str(wanted.get("where") or "")
        if where not in ("", "before", "after"):
            raise ValueError("where is before or after")
        attempts = _int(wanted, "attempts", 0)
        times = _int(wanted, "times", attempts or 1)
        rate = float(str(wanted.get("rate") or 1))
        if times < 1 or not 0 < rate <= 1:
            raise ValueError("times is at least 1, rate is above 0 and at most 1")
        self._made += 1
        fault = Fault(
            self._made,
            name,
            message,
            str(wanted.get("mid") or ""),
            str(wanted.get("mchtTrdNo") or ""),
            times,
            rate,
            _int(wanted, "ms", _DEFAULT_MS.get(name, 0)),
            str(wanted.get("code") or ("9999" if name == "error_code" else "ZZ99")),
            str(wanted.get("text") or ""),
            where,
            wanted.get("after_inquiry") in (True, "true", "1", "on", 1),
            attempts,
            random.Random(_int(wanted, "seed", 0)),  # noqa: S311 - reproducible, not secret
        )
        self._waiting.append(fault)
        return fault

    def take_exchange(self, message: Message | None, mid: str, mcht_trd_no: str) -> Fault | None:
        """The fault that this request or window step meets, if any."""
        return self._take(EXCHANGE, message, mid, mcht_trd_no) if self._waiting else None

    def take_noti(self, message: Message, mid: str, mcht_trd_no: str) -> Fault | None:
        return self._take(NOTI, message, mid, mcht_trd_no) if self._waiting else None

    def _take(self, names: Mapping[str, str], message: Message | None, mid: str, order: str) -> Fault | None:
        for fault in self._waiting:
            if fault.name not in names or not fault.fits(message, mid, order):
                continue
            if fault.rate < 1 and fault.dice.random() >= fault.rate:
                continue
            fault.times -= 1
            fault.played += 1
            if fault.times == 0:
                self._waiting.remove(fault)
            return fault
        return None

    def all(self) -> list[Fault]:
        return list(self._waiting)

    def clear(self, fault_id: int | None = None) -> int:
        """Forgets one fault, or all; how many there were."""
        before = len(self._waiting)
        self._waiting = [f for f in self._waiting if fault_id is not None and f.id != fault_id]
        return before - len(self._waiting)


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".do")


def _int(wanted: Mapping[str, object], name: str, default: int) -> int:
    value = wanted.get(name)
    if value in (None, ""):
        return default
    text = str(value)
    if not text.isdigit():
        raise ValueError(f"{name} is a number")
    return int(text)
