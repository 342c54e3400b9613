"""What counts as never sent, and what as sent with an unknown end: the line between them decides about money."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from naru.connectors.hecto.client import Client, Lost, Reply, Unsent

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"a": "one"}'[:-1]


class Server:
    """Speaks HTTP badly, as it is told to. Counts its connections and keeps what it was asked."""

    def __init__(self, *said: bytes, close: bool = False, wait_s: float = 0.0) -> None:
        self.said = list(said)
        self.close = close
        self.wait_s = wait_s
        self.connections = 0
        self.asked: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                self.asked.append(head + await reader.readexactly(length))
                await asyncio.sleep(self.wait_s)
                writer.write(self.said.pop(0))
                await writer.drain()
                if self.close:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side is gone, or the test is over
        finally:
            writer.close()


@asynccontextmanager
async def running(server: Server) -> AsyncGenerator[Server]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/pay"
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


@pytest.fixture
async def client() -> AsyncGenerator[Client]:
    made = Client(connect_s=0.5, read_s=0.3)
    yield made
    await made.close()


READ = [
    ("with a length", b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\xed\x95\x9c!", False, b"\xed\x95\x9c!"),
    (
        "in pieces",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        False,
        b"abc",
    ),
    ("until the end", b"HTTP/1.1 200 OK\r\n\r\nuntil here", True, b"until here"),
    ("announced", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", False, b"ok"),
    ("empty", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False, b""),
    ("old", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False, b"ok"),
    (
        "packed although nobody asked",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (len(gzip.compress(b"packed")), gzip.compress(b"packed")),
        False,
        b"packed",
    ),
]


@pytest.mark.parametrize(("said", "close", "body"), [case[1:] for case in READ], ids=[case[0] for case in READ])
async def test_an_answer_is_read(client: Client, said: bytes, close: bool, body: bytes) -> None:
    async with running(Server(said, close=close)) as server:
        assert await client.post_json(f"{server.url}?a=1", {"b": "둘"}) == Reply(body)
        assert server.asked == [
            b"POST /pay?a=1 HTTP/1.1\r\nHost: " + server.url[7:-4].encode() + b"\r\nAccept: */*\r\n"
            b"Content-Type: application/json; charset=UTF-8\r\nContent-Length: 11\r\n\r\n" + '{"b":"둘"}'.encode()
        ]


LOST = [
    ("nothing", b"", True, "ConnectionClosed"),
    ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le", True, "ConnectionClosed"),
    ("half a body", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0000", True, "ConnectionClosed"),
    ("half a piece", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n00", True, "ConnectionClosed"),
    ("another status", b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", False, "HTTP 500"),
    ("a way on", b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", False, "HTTP 302"),
    ("no HTTP", b"SSH-2.0-OpenSSH\r\n\r\n", False, "HttpParserInvalidStatusError"),
    ("broken packing", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", False, ""),
    ("an endless head", b"HTTP/1.1 200 OK\r\nX: " + b"x" * (400 * 1024), False, "HeadTooLong"),
]


@pytest.mark.parametrize(("said", "close", "reason"), [case[1:] for case in LOST], ids=[case[0] for case in LOST])
async def test_what_was_sent_and_not_answered_is_lost(client: Client, said: bytes, close: bool, reason: str) -> None:
    async with running(Server(said, close=close)) as server:
        got = await client.post_json(server.url, {"card": "1"})
        assert isinstance(got, Lost)
        if reason.startswith(("HTTP ", "Conn", "Head")):
            assert got.reason == reason
        assert len(server.asked) == 1, "and it is never sent again"


async def test_a_late_answer_is_lost_and_belongs_to_nobody(client: Client) -> None:
    async with running(Server(GOOD, GOOD, wait_s=0.6)) as server:
        assert await client.post_json(server.url, {}) == Lost("TimeoutError")
        server.wait_s = 0.0
        assert await client.post_json(server.url, {}) == Reply(GOOD[-11:])
        assert server.connections == 2, "the connection of the late one is not used again"


async def test_nothing_was_sent_where_nobody_answers() -> None:
    client = Client(connect_s=0.3, read_s=0.3)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert await client.post_json(f"http://127.0.0.1:{port}/", {}) == Unsent("ConnectionRefusedError")
    assert isinstance(await client.post_json("http://nobody.invalid/", {}), Unsent)
    assert await client.post_json("ftp://127.0.0.1/", {}) == Unsent("InvalidURL")
    assert await client.post_json("http://127.0.0.1/ a\r\nb", {}) == Unsent("InvalidURL")
    assert await client.post_json("http://user@127.0.0.1/", {}) == Unsent("InvalidURL")
    with socket.socket() as full:
        # A queue for connections that is full: nobody accepts, nobody refuses.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        got = await client.post_json(f"http://127.0.0.1:{full.getsockname()[1]}/", {})
        for filler in fillers:
            filler.close()
    assert got == Unsent("ConnectionTimeout")
    await client.close()


async def test_a_broken_tls_handshake_sends_nothing(client: Client) -> None:
    async with running(Server(GOOD)) as server:
        assert isinstance(await client.post_json(server.url.replace("http:", "https:"), {"card": "1"}), Unsent)
        assert server.asked == []


async def test_a_connection_is_used_again_and_by_one_at_a_time(client: Client) -> None:
    async with running(Server(*[GOOD] * 5, wait_s=0.01)) as server:
        for _ in range(3):
            assert await client.post_form(server.url, {"a": "한 글"}) == Reply(GOOD[-11:])
        assert server.connections == 1
        assert server.asked[0].endswith(b"\r\n\r\na=%ED%95%9C+%EA%B8%80")
        assert await asyncio.gather(*(client.post_json(server.url, {}) for _ in range(2))) == [Reply(GOOD[-11:])] * 2
        assert server.connections == 2


async def test_a_connection_that_the_server_has_closed_is_not_used_again(client: Client) -> None:
    async with running(Server(GOOD, GOOD, close=True)) as server:
        for _ in range(2):
            assert await client.post_json(server.url, {}) == Reply(GOOD[-11:])
            await asyncio.sleep(0.05)
        assert (server.connections, len(server.asked)) == (2, 2)


async def test_a_second_answer_to_one_question_answers_no_other(client: Client) -> None:
    other = GOOD.replace(b"one", b"two")
    async with running(Server(GOOD + other, other)) as server:
        assert await client.post_json(server.url, {}) == Reply(GOOD[-11:])
        assert await client.post_json(server.url, {}) == Reply(other[-11:])
        assert server.connections == 2


async def test_an_answer_is_cut_where_nobody_reads_on(client: Client) -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    async with running(Server(long)) as server:
        assert await client.post_form(server.url, {}, most=1000) == Reply(b"x" * 1000)


async def test_who_gives_up_leaves_no_connection_behind(client: Client) -> None:
    async with running(Server(GOOD, GOOD, wait_s=0.1)) as server:
        asking = asyncio.create_task(client.post_json(server.url, {}))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await client.post_json(server.url, {}) == Reply(GOOD[-11:])
        assert server.connections == 2


async def test_too_many_at_once_wait_their_turn_and_are_not_sent_when_it_does_not_come() -> None:
    client = Client(connect_s=0.15, read_s=1.0, limit=1)
    async with running(Server(GOOD, GOOD, wait_s=0.4)) as server:
        first, second = await asyncio.gather(*(client.post_json(server.url, {}) for _ in range(2)))
        assert (first, second) == (Reply(GOOD[-11:]), Unsent("TooManyConnections"))
        assert len(server.asked) == 1
        await client.close()
