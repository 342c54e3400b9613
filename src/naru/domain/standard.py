"""PortOne's standard codes of card companies and banks, as ``/cards`` and ``/banks`` list them.

The card table is PortOne's for Hecto's channels (behaviour reference, appendix A); banks and the
institutions that take refunds share Hecto's three-digit codes (protocol reference §4.4).
"""

from __future__ import annotations

from typing import Final

CARDS: Final = {
    "002": "KDB산업은행카드", "041": "우리카드", "045": "새마을금고카드", "048": "신협카드", "050": "저축은행카드",
    "071": "우체국카드", "089": "케이뱅크카드", "090": "카카오뱅크카드", "092": "토스뱅크카드", "361": "BC카드",
    "364": "광주카드", "365": "삼성카드", "366": "신한카드", "367": "현대카드", "368": "롯데카드", "369": "수협카드",
    "370": "씨티카드", "371": "NH카드", "372": "전북은행카드", "373": "제주은행카드", "374": "하나카드",
    "381": "KB국민카드",
}  # fmt: skip

BANKS: Final = {
    "002": "KDB산업은행", "003": "IBK기업은행", "004": "KB국민은행", "005": "외환은행", "007": "수협은행",
    "011": "NH농협은행", "012": "지역농축협", "020": "우리은행", "023": "SC제일은행", "027": "한국씨티은행",
    "031": "iM뱅크(대구)", "032": "부산은행", "034": "광주은행", "035": "제주은행", "037": "전북은행",
    "039": "경남은행", "045": "새마을금고", "048": "신협", "050": "저축은행", "054": "HSBC", "055": "도이치은행",
    "057": "JP모간체이스", "060": "BOA", "062": "중국공상은행", "064": "산림조합", "071": "우체국", "081": "하나은행",
    "088": "신한은행", "089": "케이뱅크", "090": "카카오뱅크", "092": "토스뱅크", "103": "SBI저축은행",
    "209": "유안타증권", "218": "KB증권", "238": "미래에셋증권", "240": "삼성증권", "243": "한국투자증권",
    "247": "NH투자증권", "261": "교보증권", "262": "하이투자증권", "263": "현대차증권", "264": "키움증권",
    "265": "이베스트투자증권", "266": "SK증권", "267": "대신증권", "269": "한화투자증권", "270": "하나증권",
    "271": "토스증권", "278": "신한투자증권", "279": "DB금융투자", "280": "유진투자증권", "287": "메리츠증권",
    "290": "부국증권", "291": "신영증권", "292": "케이프투자증권",
}  # fmt: skip


def bank_code(text: str) -> str | None:
    """The three-digit code that *text* means (shops also write two digits); None when there is no such bank."""
    code = text.strip().zfill(3)
    return code if code in BANKS else None
