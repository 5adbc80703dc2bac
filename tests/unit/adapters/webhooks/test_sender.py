"""Sending: to public addresses alone, to the very address that was checked, and never for long."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.certificates import self_signed
from tests.receiver import Receiver, Reply, receiving

from callvault.adapters.webhooks.addresses import is_public
from callvault.adapters.webhooks.sender import HttpxSender
from callvault.domain.errors import Malformed

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "fec0::1",
    "100::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:0:7f00:1::",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "172.32.0.1",
    "100.63.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_within_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://example.com",
        "https://",
        "https:///path",
        "https://user:secret@example.com",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://example.com/\r\nx: y",
        "https://[::1",
        "https://[::1]/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost:8443/",
        "https://vault.localhost/",
        "file:///etc/passwd",
        "https://example.com/" + "x" * 2048,
        "",
    ],
)
async def test_urls_that_can_never_be_sent_to_are_refused(url: str) -> None:
    with pytest.raises(Malformed):
        HttpxSender().check(url)
    answer = await HttpxSender().send(url, {}, b"")
    assert (answer.status, answer.error) == (None, "the address is not allowed")


def resolving(*addresses: str):
    asked: list[tuple[str, int]] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return addresses

    resolve.asked = asked
    return resolve


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_not_reached_by_any_of_its_names(host: str) -> None:
    async with receiving() as receiver:
        answer = await HttpxSender().send(f"https://{host}:{receiver.port}/", {}, b"x")
    assert answer.error == "the address is not allowed"
    assert receiver.received == []


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    sender = HttpxSender(resolve=resolving("93.184.215.14", "10.0.0.1"))
    assert (await sender.send("https://example.com/", {}, b"")).error == "the address is not allowed"


async def test_the_name_is_resolved_once_and_the_connection_goes_to_what_was_checked() -> None:
    async with receiving() as receiver:
        resolve = resolving("127.0.0.1")
        sender = HttpxSender(private_allowed=True, resolve=resolve)
        answer = await sender.send(f"http://nowhere.invalid:{receiver.port}/a?b=c", {"x-one": "1"}, b"body")
    (received,) = receiver.received
    assert answer.status == 200
    assert resolve.asked == [("nowhere.invalid", receiver.port)]
    assert received.headers["host"] == f"nowhere.invalid:{receiver.port}"
    assert (received.path, received.headers["x-one"], received.body) == ("/a?b=c", "1", b"body")


@pytest.mark.parametrize("name", ["fa\u00df.example", "xn--fa-hia.example", "FA\u00df.example"])
async def test_a_name_beyond_ascii_is_the_one_that_the_url_names_and_none_that_looks_like_it(name: str) -> None:
    """Which Python's own reading takes for `fass.example`, somebody else's."""
    async with receiving() as receiver:
        resolve = resolving("127.0.0.1")
        answer = await HttpxSender(private_allowed=True, resolve=resolve).send(
            f"http://{name}:{receiver.port}/", {}, b""
        )
    assert (answer.status, resolve.asked) == (200, [("xn--fa-hia.example", receiver.port)])
    assert receiver.received[0].headers["host"] == f"xn--fa-hia.example:{receiver.port}"


async def test_a_name_that_is_not_known_is_told_as_such() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "secret.example is not known")

    assert (
        await HttpxSender(resolve=resolve).send("https://secret.example/", {}, b"")
    ).error == "the name is not known"


async def test_the_next_address_is_tried_when_one_does_not_take_connections() -> None:
    async with receiving() as receiver:
        sender = HttpxSender(private_allowed=True, resolve=resolving("127.0.0.2", "127.0.0.1"))
        assert (await sender.send(f"http://two.invalid:{receiver.port}/", {}, b"")).status == 200


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    there = Reply(307, headers={"location": "http://169.254.169.254/latest"})
    async with receiving(reply=lambda received: there) as receiver:
        answer = await HttpxSender(private_allowed=True).send(receiver.url(), {}, b"")
    assert (answer.status, len(receiver.received)) == (307, 1)


async def test_of_an_endless_answer_only_the_beginning_is_read() -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await HttpxSender(private_allowed=True).send(f"http://127.0.0.1:{port}/", {}, b"")
    assert (answer.status, answer.body) == (200, b"x" * 4096)


async def test_whoever_is_slow_to_answer_or_answers_drop_by_drop_is_given_up() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for byte in b"HTTP/1.1 200 OK\r\n" + b"x-slow: 1\r\n" * 100:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sender = HttpxSender(private_allowed=True, timeout_seconds=0.3)
        answer = await sender.send(f"http://127.0.0.1:{port}/", {}, b"")
    assert (answer.status, answer.error) == (None, "no answer within 0.3 s")
    assert 250 <= answer.milliseconds < 15_000


async def test_an_answer_that_is_no_http_is_told_without_what_it_said() -> None:
    async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x01 what is this\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(garble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await HttpxSender(private_allowed=True).send(f"http://127.0.0.1:{port}/", {}, b"")
    assert (answer.status, answer.error) == (None, "failed: RemoteProtocolError")


async def test_retry_after_is_understood_in_seconds_alone() -> None:
    async with receiving() as receiver:
        sender, asked = HttpxSender(private_allowed=True), {}
        for told in ("120", "Wed, 21 Oct 2026 07:28:00 GMT", "-5", "9" * 30):
            receiver.reply = lambda received, told=told: Reply(503, headers={"retry-after": told})
            asked[told] = (await sender.send(receiver.url(), {}, b"")).retry_after_seconds
    assert list(asked.values()) == [120, 0, 0, 0]


@pytest.mark.parametrize("name", ["xn--i-7iq.ws", "xn--"])
def test_a_name_that_no_reading_of_names_knows_may_be_set(name: str) -> None:
    """Names with pictures are not in the standard, and are there. That nobody has one is told when it is sent to."""
    HttpxSender().check(f"https://{name}/")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "both.pem", "hooks.example", "127.0.0.1")


async def https(authority: Path, host: str, *, trusted: bool) -> tuple[Receiver, str | int | None]:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(authority)
    trust = ssl.create_default_context(cafile=str(authority) if trusted else None)
    async with receiving(tls=serving) as receiver:
        sender = HttpxSender(private_allowed=True, resolve=resolving("127.0.0.1"), trusted=trust)
        answer = await sender.send(f"https://{host}:{receiver.port}/", {}, b"x")
        await sender.close()
    return receiver, answer.status or answer.error


async def test_the_certificate_must_be_for_the_name_and_not_for_the_address(authority: Path) -> None:
    receiver, answer = await https(authority, "hooks.example", trusted=True)
    assert (answer, len(receiver.received)) == (200, 1)
    receiver, answer = await https(authority, "other.example", trusted=True)
    assert (answer, receiver.received) == ("the certificate is not trusted", [])


async def test_a_certificate_that_nobody_vouches_for_is_refused(authority: Path) -> None:
    receiver, answer = await https(authority, "hooks.example", trusted=False)
    assert (answer, receiver.received) == ("the certificate is not trusted", [])
