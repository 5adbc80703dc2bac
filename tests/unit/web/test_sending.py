"""Bodies of pieces over real connections: whole, in order, and no thread held for who is slow to take them."""

import asyncio
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, IncompleteRead
from pathlib import Path

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from callvault.services.delivery.content import FIRST_PIECE, Pieces
from callvault.web.responses import Answer
from callvault.web.sending import SENDERS, Connection
from tests.certificates import self_signed
from tests.commands import PATIENCE_SECONDS

SOUND = random.Random(7).randbytes(9_000_001)
Read = Callable[[int, int], bytes]


def stored(at: int, size: int) -> bytes:
    return SOUND[at : at + size]


class Vault:
    """Answers every request with what `give` gives; runs on an event loop in a thread."""

    def __init__(self, give: Callable[[], Pieces | bytes], tls: ssl.SSLContext | None = None) -> None:
        self._give, self._tls = give, tls
        self.given: list[Pieces] = []
        self.answered = 0
        """How many answers are over, one way or another."""
        self.state, self.port = ServerState(), 0
        self._ready, self._stop = threading.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = self._give()
        if isinstance(body, Pieces):
            self.given.append(body)
        length = len(body) if isinstance(body, bytes) else body.end - body.start
        try:
            await Answer(200, [(b"content-length", b"%d" % length)], body)(scope, receive, send)
        finally:
            self.answered += 1

    def run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        self._loop = asyncio.get_running_loop()
        config = uvicorn.Config(self, lifespan="off", log_config=None, proxy_headers=False)
        config.load()
        server = await self._loop.create_server(
            lambda: Connection(config, self.state, {}), "127.0.0.1", 0, ssl=self._tls
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in list(self.state.connections):
            connection.transport.abort()  # type: ignore[union-attr]
        await asyncio.gather(*self.state.tasks, return_exceptions=True)

    def cancel(self) -> None:
        """As a server does that cannot wait any longer."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self.state.tasks])

    def __enter__(self) -> "Vault":
        self._thread = threading.Thread(target=self.run)
        self._thread.start()
        assert self._ready.wait(PATIENCE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def asked(self, method: str = "GET") -> socket.socket:
        """A connection on which nothing of the answer has been read."""
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)
        connection.sendall(f"{method} / HTTP/1.1\r\nHost: vault\r\n\r\n".encode())
        return connection

    def client(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def heard(self) -> bytes:
        with closing(self.client()) as client:
            client.request("GET", "/")
            return client.getresponse().read()


def all_of(read: Read = stored) -> Pieces:
    return Pieces(read, 0, len(SOUND))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sound"
    path.write_bytes(SOUND)
    return path


def never(at: int, size: int) -> bytes:
    raise AssertionError("what lies in a file is not read")


def filed(path: Path, start: int = 0, end: int = len(SOUND)) -> Pieces:
    return Pieces(never, start, end, lambda: path.open("rb", buffering=0))


def rest_of(connection: socket.socket) -> bytes:
    answer = HTTPResponse(connection)
    answer.begin()
    return answer.read()


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


@pytest.mark.parametrize(("start", "end"), [(0, len(SOUND)), (70_000, 4_000_000), (5, 5)])
def test_pieces_arrive_in_their_order_and_the_connection_is_kept(start: int, end: int) -> None:
    with Vault(lambda: Pieces(stored, start, end)) as vault:
        with closing(vault.client()) as client:
            client.connect()
            opened = client.sock
            for _ in range(3):
                client.request("GET", "/")
                assert client.getresponse().read() == SOUND[start:end]
            assert client.sock is opened
        until(lambda: vault.answered == 3)
        assert [pieces.sent for pieces in vault.given] == [end - start] * 3


@pytest.mark.parametrize(("start", "end"), [(0, len(SOUND)), (70_001, 4_000_000)])
def test_what_lies_in_a_file_is_sent_without_being_read_and_the_connection_is_kept(
    file: Path, start: int, end: int
) -> None:
    with Vault(lambda: filed(file, start, end)) as vault:
        with closing(vault.client()) as client:
            for _ in range(2):
                client.request("GET", "/")
                assert client.getresponse().read() == SOUND[start:end]
        until(lambda: vault.answered == 2)
        assert [pieces.sent for pieces in vault.given] == [end - start] * 2


def test_pieces_wait_until_what_was_answered_before_them_has_left() -> None:
    bodies: list[Pieces | bytes] = [all_of(), SOUND, all_of()]
    with Vault(lambda: bodies.pop(0)) as vault, vault.asked() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: vault\r\n\r\n")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: vault\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        *heads, rest = received.split(SOUND)
        assert [head.split(b"\r\n")[0] for head in heads] == [b"HTTP/1.1 200 OK"] * 3 and not rest


@pytest.mark.parametrize("end", [1, FIRST_PIECE, FIRST_PIECE + 1])
def test_what_cannot_be_had_begins_no_answer_and_what_can_is_read_once(end: int) -> None:
    asked: list[int] = []

    def read(at: int, size: int) -> bytes:
        asked.append(at)
        if len(asked) == 1:
            raise OSError("the disk is gone")
        return stored(at, size)

    with Vault(lambda: Pieces(read, 0, end)) as vault, closing(vault.client()) as client:
        client.request("GET", "/")
        refused = client.getresponse()
        assert (refused.status, refused.read()) == (500, b"Internal Server Error")
        assert vault.heard() == SOUND[:end]
    assert asked == [0, *range(0, end, FIRST_PIECE)]


class Stuck(asyncio.Transport):
    """Holds what is written to it until it is told to let it leave."""

    def __init__(self, to: socket.socket, protocol: asyncio.Protocol) -> None:
        super().__init__({"socket": to})
        self._to, self._protocol = to, protocol
        self.held, self.is_waited_for = b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.held += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high == 0 and self.held:
            self.is_waited_for = True
            self._protocol.pause_writing()

    def leave(self) -> None:
        self._to.sendall(self.held)
        self.held = b""
        self._protocol.resume_writing()


async def turns(condition: Callable[[], bool]) -> bool:
    """Whether it comes to be within so many turns of the event loop."""
    for _ in range(1000):
        if condition():
            return True
        await asyncio.sleep(0)
    return False


async def test_no_piece_is_sent_before_the_head_of_its_answer_has_left() -> None:
    vault, end = Vault(lambda: Pieces(stored, 0, end)), FIRST_PIECE + 1000
    config = uvicorn.Config(vault, lifespan="off", log_config=None, proxy_headers=False)
    config.load()
    connection, (here, there) = Connection(config, vault.state, {}), socket.socketpair()
    with here, there:
        transport = Stuck(here, connection)
        connection.connection_made(transport)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: vault\r\n\r\n")
        assert await turns(lambda: transport.is_waited_for)
        assert not await turns(lambda: bool(vault.given[0].sent))
        transport.leave()
        await asyncio.gather(*vault.state.tasks)
        connection.connection_lost(None)
        here.close()
        head, body = b"".join(iter(lambda: there.recv(1 << 20), b"")).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 OK") and body == SOUND[:end]


def test_one_piece_is_made_while_another_is_and_none_overtakes_it() -> None:
    others = threading.Event()

    def read(at: int, size: int) -> bytes:
        assert at != FIRST_PIECE or others.wait(PATIENCE_SECONDS)
        if at > FIRST_PIECE:
            others.set()
        return stored(at, size)

    with Vault(lambda: all_of(read)) as vault:
        assert vault.heard() == SOUND


def test_nobody_who_is_slow_to_take_holds_a_thread_or_more_than_a_few_pieces() -> None:
    made = threading.Semaphore(0)

    def read(at: int, size: int) -> bytes:
        made.release()
        return stored(at, size)

    with Vault(lambda: all_of(read)) as vault:
        slow = [vault.asked() for _ in range(4 * SENDERS)]
        until(lambda: len(vault.given) == len(slow) and all(pieces.sent for pieces in vault.given))
        assert vault.heard() == SOUND
        assert max(pieces.sent for pieces in vault.given[: len(slow)]) < len(SOUND)
        for connection in slow:
            with connection:
                assert rest_of(connection) == SOUND


def test_a_slow_reader_of_a_file_gets_all_of_it_though_it_is_deleted_meanwhile(file: Path) -> None:
    with Vault(lambda: filed(file)) as vault, vault.asked() as slow:
        until(lambda: bool(vault.given and vault.given[0].sent))
        file.unlink()
        assert rest_of(slow) == SOUND


@pytest.mark.parametrize("kind", ["made", "filed"])
def test_an_answer_ends_when_its_listener_leaves(file: Path, kind: str) -> None:
    with Vault(all_of if kind == "made" else lambda: filed(file)) as vault:
        with vault.asked() as connection:
            assert connection.recv(100_000)
        until(lambda: vault.answered == 1 and not vault.state.connections)
        assert vault.given[0].sent < len(SOUND)
        open_files = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            with vault.asked() as connection:
                assert connection.recv(100_000)
        until(lambda: vault.answered == 11 and not vault.state.connections)
        until(lambda: len(os.listdir("/proc/self/fd")) <= open_files)


def test_a_listener_who_has_said_all_he_will_say_is_left_as_by_any_other_answer() -> None:
    with Vault(all_of) as vault, vault.asked() as connection:
        until(lambda: bool(vault.given and vault.given[0].sent))
        connection.shutdown(socket.SHUT_WR)
        until(lambda: vault.answered == 1)


def test_an_answer_whose_pieces_break_off_is_cut_off_behind_what_there_was() -> None:
    next_is_made = threading.Event()

    def breaking(at: int, size: int) -> bytes:
        if at <= 3_000_000 < at + size:
            assert next_is_made.wait(PATIENCE_SECONDS)
            raise OSError("the disk is gone")
        if at > 3_000_000:
            next_is_made.set()
        return stored(at, size)

    with Vault(lambda: all_of(breaking)) as vault:
        with pytest.raises(IncompleteRead) as cut:
            vault.heard()
        heard = cut.value.partial
        assert 2_000_000 < len(heard) <= 3_000_000 and len(heard) == vault.given[0].sent
        assert SOUND.startswith(heard)


@pytest.mark.parametrize("at", [0, 1_000_000])
def test_an_answer_whose_piece_is_shorter_than_promised_is_cut_off(at: int) -> None:
    def short(start: int, size: int) -> bytes:
        return stored(start, size - (start >= at))

    with Vault(lambda: all_of(short)) as vault, pytest.raises(IncompleteRead):
        vault.heard()


def test_an_answer_whose_file_is_shorter_than_promised_is_cut_off(file: Path) -> None:
    os.truncate(file, 5_000_000)
    with Vault(lambda: filed(file)) as vault:
        with pytest.raises(IncompleteRead) as cut:
            vault.heard()
        assert cut.value.partial == SOUND[:5_000_000]


def test_an_answer_whose_file_is_not_there_is_cut_off(tmp_path: Path) -> None:
    with Vault(lambda: filed(tmp_path / "absent")) as vault, pytest.raises(IncompleteRead):
        vault.heard()


def test_many_at_once_get_their_own(file: Path) -> None:
    turn = iter(range(100))

    def give() -> Pieces:
        n = next(turn)
        return filed(file, n, n + 2_000_000) if n % 2 else Pieces(stored, n, n + 2_000_000)

    heard: list[bytes] = []
    with Vault(give) as vault:
        listeners = [threading.Thread(target=lambda: heard.append(vault.heard())) for _ in range(30)]
        for listener in listeners:
            listener.start()
        for listener in listeners:
            listener.join(PATIENCE_SECONDS)
    assert sorted(heard) == sorted(SOUND[n : n + 2_000_000] for n in range(30))


@pytest.mark.parametrize("kind", ["made", "filed"])
def test_an_answer_that_is_given_up_leaves_nothing_behind(file: Path, kind: str) -> None:
    with Vault(all_of if kind == "made" else lambda: filed(file)) as vault, vault.asked() as connection:
        until(lambda: bool(vault.given and vault.given[0].sent))
        vault.cancel()
        until(lambda: vault.answered == 1)
        with pytest.raises((IncompleteRead, ConnectionResetError)):
            rest_of(connection)
        until(lambda: not vault.state.connections)


def test_head_reads_nothing() -> None:
    with Vault(lambda: all_of(never)) as vault, closing(vault.client()) as client:
        for _ in range(2):
            client.request("HEAD", "/")
            answer = client.getresponse()
            assert (answer.getheader("content-length"), answer.read()) == (str(len(SOUND)), b"")


def test_over_tls_it_leaves_by_the_server_that_encrypts_it(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "both.pem", "vault", "127.0.0.1")
    client, server = ssl.create_default_context(cafile=certificate), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    with Vault(all_of, server) as vault:
        connection = HTTPSConnection("127.0.0.1", vault.port, context=client, timeout=PATIENCE_SECONDS)
        with closing(connection):
            connection.request("GET", "/")
            assert connection.getresponse().read() == SOUND
        assert vault.given[0].sent == 0
