"""Entities as rows."""

from dataclasses import dataclass, field

import pytest
from tests.specimens import specimen

from callvault.adapters.store.kinds import KINDS, Kind
from callvault.adapters.store.rows import Mapper, mapper, text
from callvault.domain.errors import Malformed
from callvault.domain.recording import EditList, Mask, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    id: str
    flag: bool
    maybe: bool | None
    share: float
    points: tuple[Point, ...]
    named: dict[str, Point]
    words: frozenset[str]
    one: Point | None
    numbers: list[int] = field(default_factory=list)


ODD = Odd(
    id="a",
    flag=True,
    maybe=None,
    share=0.1,
    points=(Point(x=1, name="é"), Point(x=2)),
    named={"a": Point(x=3)},
    words=frozenset({"b", "a"}),
    one=None,
    numbers=[1],
)


def test_plain_fields_stay_and_others_become_json_text() -> None:
    assert Mapper(Odd).row(ODD) == (
        "a",
        1,
        None,
        0.1,
        '[{"x":1,"name":"é"},{"x":2,"name":null}]',
        '{"a":{"x":3,"name":null}}',
        '["a","b"]',
        None,
        "[1]",
    )


def test_a_row_becomes_the_entity_that_it_was() -> None:
    of = Mapper(Odd)
    assert of.entity_of(of.row(ODD)) == ODD


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.table)
def test_rows_hold_only_what_every_database_has(kind: Kind) -> None:
    row = mapper(kind.entity).row(specimen(kind.entity))
    assert {type(value) for value in row} <= {int, float, str, bytes}


def test_two_entities_of_one_row_share_nothing_that_can_be_changed() -> None:
    of = mapper(Recording)
    row = of.row(specimen(Recording))
    first, second = of.entity_of(row), of.entity_of(row)
    first.metadata["new"] = 1
    assert "new" not in second.metadata
    assert first.edits is second.edits


def test_json_that_lacks_a_field_takes_its_default() -> None:
    """So that an older row is read after a nested class has got a new field."""
    column = mapper(Recording).column("edits")
    assert column.unpack
    masks = (Mask(start_us=1, end_us=2),)
    assert column.unpack('{"masks":[{"start_us":1,"end_us":2}]}') == EditList(masks=masks)


@pytest.mark.parametrize("wrong", ["\0", "a\0b", "\ud800", "ok \udfff"])
def test_text_that_no_database_holds_is_refused(wrong: str) -> None:
    with pytest.raises(Malformed):
        text(wrong)


@pytest.mark.parametrize("right", ["", "plain", "Ünïcödé 🎧", "\\u0000", "new\nline"])
def test_other_text_is_kept(right: str) -> None:
    assert text(right) == right
