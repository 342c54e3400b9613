"""A shop's webhook and confirm addresses cannot make us speak to our own network."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from naru.jobs.deliver import Sender
from naru.jobs.outside import is_public
from tests.live import ShopServer, shop_server

LIMIT = aiohttp.ClientTimeout(total=5)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "ff02::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "211.115.72.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


class Names(AbstractResolver):
    """Answers what a test says, another thing each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ResolveResult(hostname=host, host=a, port=port, family=socket.AF_INET, proto=0, flags=0) for a in found]

    async def close(self) -> None:
        return


@pytest.fixture
def shop() -> Iterator[ShopServer]:
    with shop_server() as server:
        yield server


Make = Callable[..., Sender]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Sender] = []

    def make(*, allow_private: bool = False, names: AbstractResolver | None = None) -> Sender:
        made.append(Sender(allow_private=allow_private, resolver=names))
        return made[-1]

    yield make
    for sender in made:
        await sender.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "2130706433", "0x7f000001"])
async def test_every_way_to_say_this_machine_is_refused(shop: ShopServer, make: Make, host: str) -> None:
    port = shop.url.rpartition(":")[2]
    status, error, _ = await make().post(f"http://{host}:{port}/webhook", b"{}", {}, LIMIT)
    assert status is None
    assert error is not None
    assert shop.hooks == []


async def test_a_name_with_one_private_address_is_refused(shop: ShopServer, make: Make) -> None:
    port = shop.url.rpartition(":")[2]
    sender = make(names=Names(["203.0.113.9", "127.0.0.1"]))
    status, error, _ = await sender.post(f"http://rebind.test:{port}/", b"{}", {}, LIMIT)
    assert (status, shop.hooks) == (None, [])
    assert "private network" in str(error)


async def test_a_name_that_changes_its_mind_after_the_check_is_refused(shop: ShopServer, make: Make) -> None:
    """There is no second question: the address that was looked at is the one that is connected to."""
    port = shop.url.rpartition(":")[2]
    names = Names(["127.0.0.1"])
    sender = make(names=names)
    for _ in range(3):
        assert (await sender.post(f"http://rebind.test:{port}/", b"{}", {}, LIMIT))[0] is None
    assert shop.hooks == []


async def test_the_name_is_asked_once_per_connection(shop: ShopServer, make: Make) -> None:
    """The same sender with private addresses allowed: one look-up, one connection, to what it said."""
    port = shop.url.rpartition(":")[2]
    names = Names(["127.0.0.1"], ["10.255.255.1"])
    sender = make(allow_private=True, names=names)
    assert (await sender.post(f"http://shop.test:{port}/webhook", b"{}", {}, LIMIT))[0] == 200
    assert names.asked == 1


async def test_a_redirect_is_an_answer_and_is_not_followed(shop: ShopServer, make: Make) -> None:
    shop.statuses = [302]
    status, _, _ = await make(allow_private=True).post(f"{shop.url}/webhook", b"{}", {}, LIMIT)
    assert status == 302
    assert [h.path for h in shop.hooks] == ["/webhook"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://x/", "http://", "http://[::1", "nonsense"])
async def test_what_is_no_web_address_is_an_error_and_no_crash(make: Make, url: str) -> None:
    status, error, _ = await make().post(url, b"{}", {}, LIMIT)
    assert status is None
    assert error


async def test_the_confirm_process_has_the_same_guard(shop: ShopServer, make: Make) -> None:
    assert await make().ask(f"{shop.url}/confirm", b"{}", 5) == (None, None)
    assert shop.hooks == []
