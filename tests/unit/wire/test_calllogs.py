import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import CallerFault, Malformed, TooLarge
from callvault.wire.calllogs import LINE_MAX, folded, lines

LOGS = b'{"level": 30, "body": "a call began"}\n{"level": 50, "body": "\xc3\xa9"}\n'


def chunked(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def kept(data: bytes, size: int = 1000) -> bytes:
    return b"".join(folded(chunked(data, size)))


GZIPPED = gzip.compress(LOGS, mtime=0)
TWICE = gzip.compress(LOGS[:38], mtime=0) + gzip.compress(LOGS[38:], mtime=0)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("given_as", [LOGS, GZIPPED, TWICE], ids=["plain", "gzipped", "in two members"])
def test_logs_are_kept_gzipped_however_they_come(given_as: bytes, size: int) -> None:
    assert gzip.decompress(kept(given_as, size)) == LOGS


def test_the_same_lines_are_kept_as_the_same_bytes() -> None:
    assert kept(LOGS) == kept(gzip.compress(LOGS, mtime=1)) == kept(kept(LOGS), 3)
    assert kept(LOGS)[4:8] == bytes(4)


def test_empty_lines_and_the_ends_of_windows_are_dropped() -> None:
    assert gzip.decompress(kept(b'\n{"a":1}\r\n\n  {"b":2}')) == b'{"a":1}\n{"b":2}\n'


def test_no_logs_are_no_lines() -> None:
    assert gzip.decompress(kept(b"")) == b""


@pytest.mark.parametrize(
    "bad",
    [
        b"hello",
        b'{"a":1',
        b'{"a":NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
        b"1" * 5000,
        b"<?xml version='1.0'?>",
        b'{"a":1}{"b":2}',
    ],
)
def test_a_line_that_is_no_json_is_named(bad: bytes) -> None:
    with pytest.raises(Malformed, match="line 3"):
        kept(LOGS + bad + b"\n" + LOGS)


def test_a_broken_gzip_is_malformed() -> None:
    whole = gzip.compress(LOGS)
    for length in range(2, len(whole)):
        with pytest.raises(Malformed):
            kept(whole[:length])
    with pytest.raises(Malformed):
        kept(whole[:-8] + bytes(8))
    with pytest.raises(Malformed):
        kept(whole + b"garbage")


def test_a_gzip_bomb_stops_at_the_limit() -> None:
    bomb = zlib.compressobj(9, wbits=31)
    data = b"".join(bomb.compress(b"{}\n" * 100_000) for _ in range(300)) + bomb.flush()
    assert len(data) < 1_000_000
    taken = 0
    with pytest.raises(TooLarge):
        for line in lines(chunked(data), unfolded_max=1_000_000):
            taken += len(line) + 1
    assert taken <= 1_000_000


@pytest.mark.parametrize("line", [b"0\n", b"\n"])
def test_a_bomb_of_the_shortest_lines_stops_at_the_limit_of_lines(line: bytes) -> None:
    assert len(gzip.decompress(b"".join(folded([line * 1000], lines_max=1000)))) in (0, 2000)
    with pytest.raises(TooLarge, match="1000 lines"):
        b"".join(folded([gzip.compress(line * 100_000)], lines_max=1000))


def test_a_line_without_end_stops_at_the_limit() -> None:
    with pytest.raises(TooLarge, match="a line"):
        kept(gzip.compress(b" " * (LINE_MAX * 2)), 1 << 20)
    with pytest.raises(TooLarge, match="a line"):
        kept(b"1" * (LINE_MAX + 1) + b"\n", 1 << 22)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(json_values, max_size=5), st.integers(1, 50))
def test_every_line_comes_back_as_it_was(values: list, size: int) -> None:
    given_lines = [json.dumps(value).encode() for value in values]
    assert list(lines(chunked(kept(b"\n".join(given_lines), size), size))) == given_lines


@given(st.binary(max_size=200), st.integers(1, 50))
def test_fuzz_anything_is_logs_or_refused(data: bytes, size: int) -> None:
    for candidate in (data, b"\x1f\x8b" + data, gzip.compress(LOGS)[: len(data)] + data, gzip.compress(data)):
        with suppress(CallerFault):
            assert gzip.decompress(kept(candidate, size)) is not None
