"""Cursors in SQL: which rows come behind the last one of a page, so written that an index finds the first of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, tuple_

from callvault.adapters.store.statements import given


@dataclass(frozen=True, slots=True)
class Mark:
    """A column that rows are ordered by, and where the last row stood in it. Nothing stands before everything."""

    column: ColumnElement[Any]
    falling: bool
    nullable: bool
    place: int
    """Of the last row's value."""
    last_is_null: bool = False


def behind(marks: Sequence[Mark]) -> ColumnElement[bool]:
    directions = {mark.falling for mark in marks}
    if len(directions) > 1 or any(mark.nullable for mark in marks):
        return _behind_mixed(marks)
    row: Any = tuple_(*(mark.column for mark in marks))
    last: Any = tuple_(*(given(mark.place) for mark in marks))
    found: ColumnElement[bool] = row < last if directions.pop() else row > last
    return found


def _behind_mixed(marks: Sequence[Mark]) -> ColumnElement[bool]:
    """As nested alternatives, with the first column's range outside, for the index."""
    first, rest = marks[0], marks[1:]
    here = first.column.is_(None) if first.last_is_null else first.column == given(first.place)
    found = or_(_beyond(first), and_(here, _behind_mixed(rest))) if rest else _beyond(first)
    if first.nullable:
        return found
    bound = first.column <= given(first.place) if first.falling else first.column >= given(first.place)
    return and_(bound, found)


def _beyond(mark: Mark) -> ColumnElement[bool]:
    if mark.last_is_null:
        return false() if mark.falling else mark.column.is_not(None)
    if not mark.falling:
        return mark.column > given(mark.place)
    smaller = mark.column < given(mark.place)
    return or_(smaller, mark.column.is_(None)) if mark.nullable else smaller
