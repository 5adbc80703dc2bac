import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import Malformed
from callvault.wire.rtp import (
    STATIC_TYPES,
    RtpCodec,
    RtpPacket,
    Sieve,
    TelephoneEvent,
    Unwrapped,
    comfort_noise_level,
    looks_like_rtp,
    parse,
    parse_event,
    parse_rtpmap,
    serialize,
    serialize_event,
)
from tests.media.captures import rtp_stream

packets = st.builds(
    RtpPacket,
    st.integers(0, 127),
    st.booleans(),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=60),
)


@given(packets)
def test_what_was_written_is_read(packet: RtpPacket) -> None:
    assert parse(serialize(packet)) == packet


def test_sources_extension_and_padding_are_no_sound() -> None:
    head = struct.pack(">BBHII", 0x80 | 0x20 | 0x10 | 2, 0x80 | 8, 7, 160, 99)
    sources, extension, padding = bytes(8), struct.pack(">HH", 0xBEDE, 1) + b"abcd", b"\0\0\3"
    packet = parse(head + sources + extension + b"sound" + padding)
    assert packet == RtpPacket(8, True, 7, 160, 99, b"sound")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        bytes(12),
        b"\x8f" + bytes(11),
        b"\x90" + bytes(11),
        b"\x90" + bytes(11) + b"\0\0\xff\xff",
        b"\xa0" + bytes(11) + b"x\x05",
        b"\xa0" + bytes(11) + b"x\x00",
    ],
)
def test_a_header_that_contradicts_itself_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


def test_g722_counts_8000_and_sounds_16000_times_a_second() -> None:
    assert (STATIC_TYPES[9].clock, STATIC_TYPES[9].rate) == (8000, 16000)
    assert parse_rtpmap("G722/8000") == RtpCodec("g722", 8000, 16000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("opus/48000/2", RtpCodec("opus", 48000, 48000, 1)),
        ("PCMA/16000", RtpCodec("pcma", 16000, 16000)),
        ("L16/44100/2", RtpCodec("l16", 44100, 44100, 2)),
        ("telephone-event/8000", RtpCodec("telephone-event", 8000, 8000)),
        ("CN/16000", RtpCodec("cn", 16000, 16000)),
    ],
)
def test_sdp_names_the_dynamic_types(text: str, expected: RtpCodec) -> None:
    assert parse_rtpmap(text) == expected


@pytest.mark.parametrize(
    "text", ["", "opus", "opus/", "opus/0", "opus/fast", "opus/999999", "opus/-1", f"l16/000048000{'9' * 5000}"]
)
def test_an_rtpmap_without_a_clock_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_rtpmap(text)


def test_telephone_events_name_their_digit() -> None:
    event = TelephoneEvent(code=11, end=True, volume=10, duration=1600)
    assert parse_event(serialize_event(event)) == event
    assert serialize_event(event) == bytes([11, 0x8A, 0x06, 0x40])
    assert [TelephoneEvent(code, False, 0, 0).digit for code in (0, 9, 10, 11, 12, 15, 16)] == [*"09*#AD", ""]
    with pytest.raises(Malformed):
        parse_event(b"\0\0\0")


def test_comfort_noise_tells_its_level() -> None:
    assert comfort_noise_level(b"\x4e\x01\x02") == 78
    assert comfort_noise_level(b"") == 127


def test_sequence_numbers_go_on_behind_65535() -> None:
    unwrapped = Unwrapped(16)
    assert [unwrapped(value) for value in (65534, 65535, 0, 1)] == [65534, 65535, 65536, 65537]


def test_late_packets_keep_their_place_around_a_wrap() -> None:
    unwrapped = Unwrapped(16)
    assert [unwrapped(value) for value in (65533, 65535, 65534, 1, 0, 2)] == [65533, 65535, 65534, 65537, 65536, 65538]
    assert [Unwrapped(16)(value) for value in (0, 65535)] == [0, 65535]
    early = Unwrapped(16)
    assert [early(value) for value in (0, 65535)] == [0, -1]


@given(st.integers(0, 2**32 - 1), st.integers(0, 10_000))
def test_a_long_call_wraps_its_timestamps_and_nobody_notices(first: int, seed: int) -> None:
    true = [first + 160 * n * 1000 for n in range(40_000, 40_200)]
    rng = random.Random(seed)
    shuffled = sorted(true, key=lambda value: value + rng.randrange(800_000))
    unwrapped = Unwrapped(32)
    found = [unwrapped(value % 2**32) for value in shuffled]
    assert [value - found[0] for value in found] == [value - shuffled[0] for value in shuffled]


def test_rtp_is_told_from_what_else_goes_by_udp() -> None:
    sound = rtp_stream([bytes(160)])[0]
    dns = struct.pack(">HHHHHH", 0x8000, 0x0100, 1, 0, 0, 0) + b"\x07example\x03com\0\0\1\0\1"
    rtcp = struct.pack(">BBHI", 0x80, 200, 6, 1) + bytes(20)
    stun = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)
    assert looks_like_rtp(sound)
    assert not any(
        looks_like_rtp(data) for data in (b"", rtcp, stun, b"SIP/2.0 200 OK\r\n\r\n", sound[:12], b"\x16\xfe\xff" * 9)
    )
    sieve = Sieve()
    assert sieve.pass_through("dns", dns) == []


def test_the_first_packets_of_a_flow_come_out_once_it_is_known() -> None:
    sieve, packets = Sieve(), rtp_stream([bytes([n]) for n in range(6)], sequence=65534)
    came = [sieve.pass_through("a", data) for data in packets]
    assert [len(part) for part in came] == [0, 0, 0, 4, 1, 1]
    assert [packet.payload for part in came for packet in part] == [bytes([n]) for n in range(6)]


def test_reordered_packets_still_make_a_flow() -> None:
    sieve, packets = Sieve(), rtp_stream([bytes(1)] * 5)
    order = [0, 2, 1, 4, 3]
    assert sum(len(sieve.pass_through("a", packets[n])) for n in order) == 5


def test_noise_that_looks_like_rtp_never_makes_a_flow() -> None:
    rng, sieve = random.Random(1), Sieve()
    noise = [b"\x80\x00" + rng.randbytes(2) + rng.randbytes(4) + b"ssrc" + bytes(20) for _ in range(2000)]
    assert sum(len(sieve.pass_through("a", data)) for data in noise) == 0
    flood = [b"\x80\x00\0\1" + rng.randbytes(8) + bytes(20) for _ in range(20_000)]
    assert sum(len(sieve.pass_through("a", data)) for data in flood) == 0


def test_two_sources_in_one_flow_are_two_streams() -> None:
    sieve = Sieve()
    mixed = [
        data
        for pair in zip(rtp_stream([b"a"] * 5), rtp_stream([b"b"] * 5, ssrc=2, sequence=900), strict=True)
        for data in pair
    ]
    came = [packet for data in mixed for packet in sieve.pass_through("a", data)]
    assert [sum(packet.ssrc == ssrc for packet in came) for ssrc in (1, 2)] == [5, 5]


@given(st.binary(max_size=100))
def test_fuzz_any_bytes_are_a_packet_or_malformed(data: bytes) -> None:
    for candidate in (data, b"\x80" + data, b"\xbf" + data):
        try:
            packet = parse(candidate)
        except Malformed:
            assert Sieve().pass_through("a", candidate) == []
            continue
        assert len(packet.payload) <= len(candidate) - 12


@given(st.text(max_size=30), st.binary(max_size=8))
def test_fuzz_any_rtpmap_or_event_is_a_value_or_malformed(text: str, payload: bytes) -> None:
    for read, value in ((parse_rtpmap, text), (parse_rtpmap, f"x/{text}"), (parse_event, payload)):
        try:
            assert read(value)
        except Malformed:
            continue
