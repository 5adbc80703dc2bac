import email.policy
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.wire.byterange import RANGES_MAX, ByteRange, Multipart, content_range, if_range_holds, parse

numbers = st.integers(0, 300)
specs = st.one_of(
    st.builds(lambda a, b: f"{min(a, b)}-{max(a, b)}", numbers, numbers),
    numbers.map(lambda first: f"{first}-"),
    numbers.map(lambda count: f"-{count}"),
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 1000)]),
        ("bytes=9500-", [(9500, 10_000)]),
        ("bytes=-500", [(9500, 10_000)]),
        ("bytes=-20000", [(0, 10_000)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 10_000)]),
        ("bytes= 0-0 , , 5-6 ", [(0, 1), (5, 7)]),
        ("Bytes=0-1", [(0, 2)]),
        ("bytes=9999-20000", [(9999, 10_000)]),
        ("bytes=500-600,601-999", [(500, 1000)]),
        ("bytes=500-700,601-999", [(500, 1000)]),
        ("bytes=900-999,0-9,905-2000", [(900, 2001), (0, 10)]),
        ("bytes=0-9,20-29,5-24", [(0, 30)]),
        ("bytes=10000-,0-1", [(0, 2)]),
    ],
)
def test_the_ranges_of_the_rfc(header: str, expected: list[tuple[int, int]]) -> None:
    assert parse(header, 10_000) == tuple(ByteRange(*pair) for pair in expected)


@pytest.mark.parametrize("header", ["bytes=10000-", "bytes=-0", "bytes=20000-30000, 10000-10001"])
def test_what_lies_beyond_the_end_cannot_be_satisfied(header: str) -> None:
    assert parse(header, 10_000) == ()


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1", "bytes=0-0"])
def test_nothing_of_an_empty_representation_can_be_satisfied(header: str) -> None:
    assert parse(header, 0) == ()


@pytest.mark.parametrize(
    "header",
    ["", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "seconds=0-1", "bytes=0-1;", "bytes=1", "bytes=٣-"],
)
def test_what_is_no_byte_range_is_ignored(header: str) -> None:
    assert parse(header, 10_000) is None


@pytest.mark.parametrize("header", [None, "bytes=0-1,x", "bytes=--1", "bytes=+1-2", "bytes=" + "9" * 20 + "-", "0-1"])
def test_one_bad_range_spoils_the_header(header: str | None) -> None:
    assert parse(header, 10_000) is None


def test_too_many_ranges_are_ignored() -> None:
    ranges = [f"{10 * n}-{10 * n + 1}" for n in range(RANGES_MAX + 1)]
    assert len(parse("bytes=" + ",".join(ranges[:-1]), 10_000) or ()) == RANGES_MAX
    assert parse("bytes=" + ",".join(ranges), 10_000) is None


def test_if_range_needs_the_very_same_strong_tag() -> None:
    assert if_range_holds(None, '"a"')
    assert if_range_holds('"a"', '"a"')
    assert not if_range_holds('"b"', '"a"')
    assert not if_range_holds('W/"a"', 'W/"a"')
    assert not if_range_holds('W/"a"', '"a"')


def test_if_range_by_date_needs_the_very_same_second() -> None:
    date = "Thu, 09 Oct 2025 08:53:20 GMT"
    assert if_range_holds(date, '"a"', 1_760_000_000)
    assert not if_range_holds(date, '"a"', 1_760_000_001)
    assert not if_range_holds(date, '"a"')
    assert not if_range_holds("yesterday", '"a"', 1_760_000_000)


def body_of(multipart: Multipart, content: bytes) -> bytes:
    return b"".join(head + content[part.start : part.end] for head, part in multipart.parts()) + multipart.tail


def test_a_multipart_body_is_read_by_a_mime_parser() -> None:
    content = bytes(range(65, 91))
    multipart = Multipart((ByteRange(0, 3), ByteRange(10, 12)), 26, "audio/wav", "xyz")
    head = f"Content-Type: {multipart.content_type}\r\n\r\n".encode()
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + body_of(multipart, content))
    parts = list(message.iter_parts())
    assert [part["Content-Range"] for part in parts] == ["bytes 0-2/26", "bytes 10-11/26"]
    assert [part["Content-Type"] for part in parts] == ["audio/wav"] * 2
    assert [part.get_payload(decode=True) for part in parts] == [b"ABC", b"KL"]


@given(st.lists(specs, min_size=1, max_size=6), st.integers(0, 200))
def test_fuzz_ranges_cover_what_was_asked_for_and_nothing_else(asked: list[str], length: int) -> None:
    found = parse("bytes=" + ",".join(asked), length)
    assert found is not None
    wanted = set()
    for spec in asked:
        first, last = spec.split("-")
        start = int(first) if first else max(length - int(last), 0)
        wanted |= set(range(start, min(int(last) + 1, length) if first and last else length))
    assert {byte for part in found for byte in range(part.start, part.end)} == wanted
    assert sum(part.length for part in found) == len(wanted)
    multipart = Multipart(found, length, "audio/wav", "b0undary")
    assert len(body_of(multipart, bytes(length))) == multipart.content_length
    assert all(content_range(part, length).endswith(f"/{length}") for part in found)


@given(st.text(max_size=100), st.integers(0, 2**40))
def test_fuzz_any_text_is_ranges_within_the_length_or_ignored(text: str, length: int) -> None:
    for header in (text, f"bytes={text}"):
        for part in parse(header, length) or ():
            assert 0 <= part.start < part.end <= length
        assert if_range_holds(header, '"a"', length) in (True, False)
