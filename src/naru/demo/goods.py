"""What the demo shop sells."""

from __future__ import annotations

from typing import NamedTuple


class Goods(NamedTuple):
    """One thing on the shelf; `price` in won."""

    id: str
    name: str
    maker: str
    price: int
    text: str


SHELF = (
    Goods(
        "sample",
        "시음 티백 한 봉",
        "한뼘다실",
        1_004,
        "처음 오셨다면 한 봉만 우려 보세요. 보성에서 딴 첫물 녹차를 실 없는 옥수수 티백에 담았습니다.",
    ),
    Goods(
        "ujeon",
        "보성 우전 녹차 40g",
        "몽중산다원",
        24_000,
        "곡우 전에 손으로 딴 어린잎을 가마솥에 아홉 번 덖었습니다. 70도 물에 1분, 세 번까지 우려 드세요.",
    ),
    Goods(
        "cups",
        "백자 찻잔 2인 세트",
        "이천 고운요",
        58_000,
        "얇게 깎은 백자 두 점과 오동나무 상자. 식기세척기에 넣어도 괜찮습니다. 5만원이 넘어 할부로도 살 수 있습니다.",
    ),
    Goods(
        "candle",
        "제주 동백 향초 180g",
        "서귀포 불빛",
        19_500,
        "동백씨 기름과 콩 왁스로 굳혔습니다. 45시간쯤 탑니다.",
    ),
    Goods(
        "mat",
        "손누빔 티 매트",
        "전주 바느질방",
        12_000,
        "광목에 쪽물을 들여 한 땀씩 누볐습니다. 30×40cm, 찬물에 손빨래해 주세요.",
    ),
    Goods(
        "jar",
        "달항아리 (대)",
        "이천 고운요",
        320_000,
        "위아래 두 사발을 이어 붙여 하나도 같은 모양이 없습니다. 높이 31cm 안팎.",
    ),
)

BY_ID = {goods.id: goods for goods in SHELF}
