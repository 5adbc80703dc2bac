import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import Malformed
from callvault.wire.pcap import Datagram, Tally, datagrams
from tests.media import captures
from tests.media.captures import CALLEE, CALLEE_6, CALLER, CALLER_6

TIME_NS = 1_760_000_000_123_456_789
LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "ethernet": (1, captures.ethernet),
    "vlan": (1, lambda ip: captures.ethernet(ip, 0x8100)),
    "qinq": (1, lambda ip: captures.ethernet(ip, 0x88A8, 0x8100)),
    "cooked 1": (113, captures.cooked_1),
    "cooked 2": (276, captures.cooked_2),
    "cooked 2 with a vlan": (276, lambda ip: captures.cooked_2(ip, 0x8100)),
    "cooked 2 with qinq": (276, lambda ip: captures.cooked_2(ip, 0x88A8, 0x8100)),
    "raw": (101, captures.raw),
    "null": (0, captures.loopback),
    "loop": (108, captures.loopback),
}


def read(data: bytes, tally: Tally | None = None, size: int = 1 << 16) -> list[Datagram]:
    return list(datagrams((data[at : at + size] for at in range(0, len(data), size)), tally))


def payloads(data: bytes) -> list[bytes]:
    return [datagram.payload for datagram in read(data)]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(("source", "destination"), [(CALLER, CALLEE), (CALLER_6, CALLEE_6)], ids=["v4", "v6"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_link_and_file_gives_the_datagram(link: str, source, destination, order: str) -> None:
    number, framed = LINKS[link]
    frame = framed(captures.packet(b"sound", source, destination))
    expected = Datagram(TIME_NS // 1000 * 1000, source, destination, b"sound")
    for file in (captures.pcap, captures.pcapng):
        assert read(file([(TIME_NS, frame)], number, order)) == [expected]
    exact = captures.pcap([(TIME_NS, frame)], number, order, nanoseconds=True)
    assert read(exact) == [expected._replace(time_ns=TIME_NS)]


@pytest.mark.parametrize("size", [1, 3, 17, 4096])
def test_chunks_may_be_cut_anywhere(size: int) -> None:
    frames = [(n * 20_000_000, captures.ethernet(captures.packet(bytes([n]) * n))) for n in range(30)]
    for file in (captures.pcap(frames), captures.pcapng(frames)):
        assert read(file, size=size) == read(file)
        assert len(read(file)) == 30


def test_padding_of_short_frames_is_no_sound() -> None:
    assert payloads(captures.pcap([(0, captures.ethernet(captures.packet(b"x")))])) == [b"x"]


@pytest.mark.parametrize(
    ("resolution", "offset", "ticks", "expected"),
    [
        (b"\x09", b"", 1_500_000_000, 1_500_000_000),
        (b"\x03", b"", 1500, 1_500_000_000),
        (b"\x8a", b"", 1536, 1_500_000_000),
        (b"\x06", struct.pack("<q", 10), 1, 10_000_001_000),
        (b"\x06", struct.pack("<q", -1), 1_500_000, 500_000_000),
    ],
)
def test_an_interface_tells_its_clock(resolution: bytes, offset: bytes, ticks: int, expected: int) -> None:
    options = captures.option(9, resolution) + (captures.option(14, offset) if offset else b"")
    frame = captures.enhanced(ticks, captures.ethernet(captures.packet(b"x")))
    assert read(captures.section() + captures.interface(options=options) + frame)[0].time_ns == expected


def test_sections_have_interfaces_and_byte_orders_of_their_own() -> None:
    ip = captures.packet(b"x")
    file = (
        captures.pcapng([(0, captures.ethernet(ip))])
        + captures.section(">")
        + captures.interface(101, ">")
        + captures.interface(113, ">")
        + captures.enhanced(0, captures.cooked_1(ip), ">", number=1)
        + captures.simple(ip, ">")
        + captures.block(0xBAD, b"whatever", ">")
        + captures.enhanced(0, ip, ">")
    )
    assert payloads(file) == [b"x"] * 4


def test_links_that_are_not_understood_hide_no_others() -> None:
    file = captures.section() + captures.interface(189) + captures.interface(101)
    file += captures.enhanced(0, b"usb") + captures.enhanced(0, captures.packet(b"x"), number=1)
    assert payloads(file) == [b"x"]


def test_what_is_no_whole_datagram_is_counted() -> None:
    ip, tally = captures.packet(b"sound"), Tally()
    frames = [
        captures.ethernet(ip),
        captures.ethernet(captures.ipv4(captures.udp(b"half"), fragment=0x2000)),
        captures.ethernet(captures.ipv4(b"other half", fragment=1)),
        captures.ethernet(captures.packet(b"long" * 30))[:80],
        captures.ethernet(captures.ipv4(b"tcp", protocol=6)),
        bytes(12) + b"\x08\x06" + bytes(28),
        bytes(5),
        b"",
    ]
    assert len(read(captures.pcap([(0, frame) for frame in frames]), tally)) == 1
    assert tally == Tally(datagrams=1, fragments=2, shortened=1, others=4)


def test_ipv6_extension_headers_are_passed_by() -> None:
    body = captures.udp(b"sound", CALLER_6, CALLEE_6)
    hop, routing = b"\x2b\x00" + bytes(6), b"\x33\x01" + bytes(14)
    authentication, destination = b"\x3c\x04" + bytes(22), b"\x11\x00" + bytes(6)
    ip = captures.ipv6(hop + routing + authentication + destination + body, protocol=0)
    assert payloads(captures.pcap([(0, ip)], 101)) == [b"sound"]


def test_an_ipv6_fragment_that_is_whole_is_read_and_another_is_counted() -> None:
    body, tally = captures.udp(b"sound", CALLER_6, CALLEE_6), Tally()
    whole = captures.ipv6(b"\x11\x00\x00\x00" + bytes(4) + body, protocol=44)
    part = captures.ipv6(b"\x11\x00\x00\x01" + bytes(4) + body, protocol=44)
    assert [d.payload for d in read(captures.pcap([(0, whole), (0, part)], 101), tally)] == [b"sound"]
    assert tally.fragments == 1


@pytest.mark.parametrize("file", [captures.pcap, captures.pcapng])
def test_a_capture_that_was_cut_off_gives_what_came_before(file) -> None:
    frames = [(0, captures.ethernet(captures.packet(bytes([n])))) for n in range(3)]
    whole, two = file(frames), len(file(frames[:2]))
    for length in range(two + 1, len(whole)):
        tally = Tally()
        assert len(read(whole[:length], tally)) == 2
        assert tally.cut_off
    tally = Tally()
    assert len(read(whole, tally)) == 3
    assert not tally.cut_off


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "begin"),
        (b"RIFF", "begin"),
        (b"\xd4\xc3\xb2\xa1\x02", "header is cut off"),
        (captures.pcap([], 189), "link type 189"),
        (captures.pcap([]) + struct.pack("<IIII", 0, 0, 1 << 30, 0), "absurd"),
        (captures.section()[:8] + b"\0\0\0\0", "byte order"),
        (captures.section() + struct.pack("<II", 6, 13), "absurd"),
        (captures.section() + struct.pack("<II", 6, 1 << 30), "absurd"),
        (captures.section() + captures.enhanced(0, b"x"), "not described"),
        (captures.section() + captures.interface() + captures.block(6, b"x"), "too short"),
        (captures.section() + captures.interface()[:-4] + b"\0\0\0\0", "as it began"),
        (captures.section() + captures.interface() * 1025, "too many"),
    ],
)
def test_garbage_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read(data)


def test_an_endless_source_is_read_as_it_comes() -> None:
    frame = captures.pcap([(0, captures.ethernet(captures.packet(b"x")))])[24:]

    def endless() -> Iterator[bytes]:
        yield captures.pcap([])
        while True:
            yield frame

    found = datagrams(endless())
    assert [next(found).payload for _ in range(1000)] == [b"x"] * 1000


SEED = captures.section() + captures.interface(113) + captures.interface(1)
SEEDS = [
    captures.pcap([(0, captures.ethernet(captures.packet(b"sound"), 0x8100))] * 2),
    captures.pcap([(0, captures.packet(b"sound", CALLER_6, CALLEE_6))] * 2, 101, ">"),
    SEED + captures.enhanced(5, captures.cooked_1(captures.packet(b"sound"))) + captures.simple(b"x"),
]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=4)), max_size=5))
def test_fuzz_damaged_captures_give_datagrams_or_are_malformed(seed: bytes, damages: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for at, new in damages:
        data[at : at + len(new)] = new
    with suppress(Malformed):
        assert sum(len(datagram.payload) for datagram in read(bytes(data), size=100)) <= len(data)


@given(st.sampled_from([0, 1, 101, 113, 276]), st.lists(st.binary(max_size=100), max_size=4))
def test_fuzz_any_frames_give_datagrams_or_are_counted(link: int, frames: list[bytes]) -> None:
    tally = Tally()
    read(captures.pcap([(0, frame) for frame in frames], link), tally)
    assert tally.datagrams + tally.fragments + tally.shortened + tally.others == len(frames)
