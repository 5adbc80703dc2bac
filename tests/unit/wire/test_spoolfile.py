"""The journal's format: what is written is read again, and nothing else is taken for a record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.wire.runs import CODECS
from callvault.wire.spoolfile import (
    FileHead,
    Kind,
    Piece,
    Record,
    Torn,
    binding,
    parse_file_head,
    parse_head,
    parse_pieces,
    parse_record,
    serialize_file_head,
    serialize_pieces,
    serialize_record,
)

INT64 = st.integers(-(1 << 62), 1 << 62)
PIECES = st.lists(
    st.builds(
        Piece,
        lane=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True),
        take=INT64,
        codec=st.sampled_from(CODECS),
        rate=st.integers(1, 192_000),
        start=INT64,
        samples=INT64,
        payload=st.binary(max_size=50),
        digest=st.one_of(st.just(b""), st.binary(min_size=32, max_size=32)),
        arrived_us=st.one_of(st.none(), INT64),
    ),
    max_size=5,
)
RECORDS = st.builds(
    Record,
    kind=st.sampled_from(Kind),
    serial=st.integers(0, (1 << 64) - 1),
    key=st.integers(0, (1 << 64) - 1),
    name=st.text("abcdef-0123456789", max_size=40),
    body=st.binary(max_size=80),
)


@given(PIECES)
def test_pieces_are_read_as_they_were_written(pieces: list[Piece]) -> None:
    assert parse_pieces(serialize_pieces(pieces)) == tuple(pieces)


@given(RECORDS)
def test_records_are_read_as_they_were_written(record: Record) -> None:
    data = serialize_record(record)
    assert parse_record(data) == record
    assert parse_head(data).length == len(data)


@given(RECORDS, st.data())
def test_a_record_with_any_bit_changed_or_any_end_missing_is_torn(record: Record, draw: st.DataObject) -> None:
    data = bytearray(serialize_record(record))
    bit = draw.draw(st.integers(0, len(data) * 8 - 1))
    cut = draw.draw(st.integers(0, len(data) - 1))
    with pytest.raises(Torn):
        parse_record(bytes(data[:cut]))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Torn):
        parse_record(bytes(data))


@given(st.binary(max_size=200))
def test_fuzz_garbage_is_torn_and_never_anything_else(data: bytes) -> None:
    with pytest.raises(Torn):
        parse_record(data)
    with pytest.raises(Torn):
        parse_file_head(data)


def test_a_file_says_whose_it_is_and_where_its_serials_begin() -> None:
    head = FileHead(bytes(range(16)), 1 << 40)
    assert parse_file_head(serialize_file_head(head)) == head


def test_a_sealed_body_is_bound_to_its_serial_its_key_and_its_recording() -> None:
    one = Record(Kind.PIECES, 1, 2, "r", b"")
    others = [
        Record(Kind.PIECES, 2, 2, "r", b""),
        Record(Kind.PIECES, 1, 3, "r", b""),
        Record(Kind.PIECES, 1, 2, "s", b""),
    ]
    assert len({binding(record) for record in [one, *others]}) == 4


def test_a_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="xxx"):
        serialize_record(Record(Kind.DROP, 1, 0, "x" * 256, b""))
