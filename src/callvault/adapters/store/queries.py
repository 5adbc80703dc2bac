"""`Query` values as SQL text, compiled once for each shape.

A page costs the same wherever it begins: the cursor is a range of the index, and an `in` over few values is paged as
that many ordered lists, merged.
"""

import asyncio
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    func,
    or_,
    select,
    union_all,
)

from callvault.adapters.store.keyset import Mark, behind
from callvault.adapters.store.kinds import BY_ENTITY, LABEL_FACTS, kind_of
from callvault.adapters.store.rows import Convert, Mapper, Row, mapper, text
from callvault.adapters.store.schema import LABELS, TABLES
from callvault.adapters.store.statements import Dialect, Sql, given
from callvault.domain.query import GIVEN, Query, Term

Condition = Callable[[ColumnElement[Any], int], ColumnElement[bool]]

FEW = 8
TURN_SECONDS = 0.005
"""After so long of making entities the others have their turn."""
MERGED = 16
RANGES: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
BY_KEY = {
    entity: Query(entity, tuple(Term(name, "=", GIVEN) for name in kind.key)) for entity, kind in BY_ENTITY.items()
}
EXCLUDES_NULL = ("=", "<", "<=", ">", ">=", "in", "is not null")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for all queries of one shape."""

    text: str
    bind: Callable[[Sequence[Any]], Row]
    """The parameters, of the values."""
    packs: Sequence[Convert]
    """For each term; none where `bind` packs them too."""
    entity_of: Callable[[Row], Any]

    async def entities(self, rows: Iterable[Row]) -> list[Any]:
        """Of many, or of large ones: in between the event loop does what else there is to do."""
        found, until = [], monotonic() + TURN_SECONDS
        for row in rows:
            found.append(self.entity_of(row))
            if monotonic() > until:
                await asyncio.sleep(0)
                until = monotonic() + TURN_SECONDS
        return found


class Queries:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._plans: dict[Any, Plan] = {}

    def get(self, kind: type[Any], key: Row) -> tuple[Plan, Row]:
        return self.find(BY_KEY[kind], key)

    def find(self, query: Query[Any], given: Row = ()) -> tuple[Plan, Row]:
        if not given:
            return self._planned("find", query)
        plan = self._plans.get(query)
        if plan is None:
            plan = self._plans[query] = self._standing(query)
        return plan, plan.bind(given)

    def count(self, query: Query[Any]) -> tuple[Plan, Row]:
        return self._planned("count", query._replace(order=(), after=None, limit=None, offset=0))

    def _planned(self, verb: str, query: Query[Any]) -> tuple[Plan, Row]:
        merged = _merged(query) if verb == "find" else None
        shape = (verb, query.kind, _shape(query, merged))
        plan = self._plans.get(shape)
        if plan is None:
            sql, packs = self._sql(verb, query, merged), self._packs(query)
            plan = self._plans[shape] = Plan(sql.text, sql.bind, packs, mapper(query.kind).entity_of)
        return plan, plan.bind(_values(plan, query, merged))

    def _standing(self, query: Query[Any]) -> Plan:
        """The plan for no other values than those that are given."""
        sql, packs = self._sql("find", query, None), self._packs(query)
        given = [place for place, term in enumerate(query.terms) if term.value is GIVEN]
        bind = _packing(len(given), [(given.index(place), packs[place]) for place in sql.places])
        return Plan(sql.text, bind, (), mapper(query.kind).entity_of)

    def _sql(self, verb: str, query: Query[Any], merged: Term | None) -> Sql:
        shaped = Shaped(self._dialect, query, merged)
        return self._dialect.compile(shaped.find() if verb == "find" else shaped.count())

    def _packs(self, query: Query[Any]) -> list[Convert]:
        return [self._packed(_whole(query), term) for term in query.terms]

    def _packed(self, of: Mapper, term: Term) -> Convert:
        """How the term's value is handed over."""
        field = term.fields[0]
        if term.operator == "in":
            return lambda values: self._dialect.list_of(_distinct(of, field, values))
        if term.operator == "contains":
            return lambda value: text(value).lower()
        if term.operator in ("has", "null or has"):
            return text
        return of.packers[field]


class Shaped:
    """One query, with the places of its values for the values."""

    def __init__(self, dialect: Dialect, query: Query[Any], merged: Term | None) -> None:
        self._dialect = dialect
        self._query = query
        self._merged = merged
        self._table = TABLES[query.kind]
        self._source: FromClause = self._table
        self._columns: dict[str, ColumnElement[Any]] = dict(self._table.c)
        self._label = next((term for term in query.terms if self._is_label(term)), None)
        if self._label:
            self._read_by_label()
        self._of_the_dialect: dict[str, Condition] = {
            "in": dialect.one_of,
            "contains": dialect.contains,
            "has": dialect.listed,
            "null or has": self._null_or_listed,
        }
        self._limit_place = len(query.terms)
        self._after_place = self._limit_place + 2

    def count(self) -> Select[Any]:
        return select(func.count()).select_from(self._source).where(*self._conditions())

    def find(self) -> Any:
        statement: Any = select(*self._outputs()).select_from(self._source)
        if self._merged:
            statement = union_all(*(statement.where(*conditions) for conditions in self._branches(self._merged)))
            columns = {_field(name): statement.selected_columns[_field(name)] for name in self._query.order}
        else:
            statement, columns = statement.where(*self._conditions()), self._columns
        order = (self._directed(columns[_field(name)], self._mark(n)) for n, name in enumerate(self._query.order))
        statement = statement.order_by(*order)
        if self._query.limit is None and not self._query.offset:
            return statement
        return statement.limit(given(self._limit_place)).offset(given(self._limit_place + 1))

    def _outputs(self) -> list[ColumnElement[Any]]:
        columns = {name: self._columns[name] for name in mapper(self._query.kind).names}
        return [column.label(name) if self._label else column for name, column in columns.items()]

    def _branches(self, merged: Term) -> Iterator[list[ColumnElement[bool]]]:
        """Of each field and value the rows that have it there, without those that a field before has brought."""
        first = self._after_place + len(self._query.after or ())
        places = range(first, first + len(_wanted(self._query, merged)))
        columns = [self._columns[name] for name in merged.fields]
        for n, column in enumerate(columns):
            fresh = [before.is_distinct_from(given(place)) for before in columns[:n] for place in places]
            for place in places:
                yield [*self._conditions(), column == given(place), *fresh]

    def _conditions(self) -> list[ColumnElement[bool]]:
        terms = enumerate(self._query.terms)
        conditions = [self._condition(place, term) for place, term in terms if term is not self._merged]
        if self._query.after is None:
            return conditions
        return [*conditions, behind([self._mark(n) for n in range(len(self._query.order))])]

    def _condition(self, place: int, term: Term) -> ColumnElement[bool]:
        if term is self._label:
            return LABELS[self._query.kind].c.label == given(place)
        if self._is_label(term):
            return self._labelled(place)
        return or_(*(self._met_by(self._columns[name], place, term) for name in term.fields))

    def _met_by(self, column: ColumnElement[Any], place: int, term: Term) -> ColumnElement[bool]:
        if self._narrowed_by_cursor(term):
            column = self._dialect.outside_index(column)
        if term.operator in self._of_the_dialect:
            return self._of_the_dialect[term.operator](column, place)
        return _compared(column, term, place)

    def _narrowed_by_cursor(self, term: Term) -> bool:
        """The cursor bounds the same field from the same side, and closer."""
        if self._query.after is None:
            return False
        first = self._query.order[0]
        bounds = ("<", "<=") if first.startswith("-") else (">", ">=")
        return term.field == _field(first) and term.operator in bounds

    def _null_or_listed(self, column: ColumnElement[Any], place: int) -> ColumnElement[bool]:
        return or_(column.is_(None), self._dialect.listed(column, place))

    def _is_label(self, term: Term) -> bool:
        return term.operator == "has" and term.field == kind_of(self._query.kind).labels

    def _read_by_label(self) -> None:
        labels = LABELS[self._query.kind]
        self._source = labels.join(self._table, labels.c.id == self._table.c.id)
        self._columns |= {name: labels.c[name] for name in ("id", *LABEL_FACTS)}

    def _labelled(self, place: int) -> ColumnElement[bool]:
        labels = LABELS[self._query.kind].alias()
        same = and_(labels.c.id == self._columns["id"], labels.c.label == given(place))
        return select(labels.c.id).where(same).exists()

    def _directed(self, column: ColumnElement[Any], mark: Mark) -> ColumnElement[Any]:
        """So it is on SQLite anyhow, and PostgreSQL is told."""
        directed = column.desc() if mark.falling else column.asc()
        if self._dialect.is_sqlite or not mark.nullable:
            return directed
        return directed.nulls_last() if mark.falling else directed.nulls_first()

    def _mark(self, n: int) -> Mark:
        query, name = self._query, self._query.order[n]
        last_is_null = query.after is not None and query.after[n] is None
        column, place = self._columns[_field(name)], self._after_place + n
        nullable = last_is_null or self._may_be_null(_field(name))
        return Mark(column, name.startswith("-"), nullable, place, last_is_null)

    def _may_be_null(self, field: str) -> bool:
        known = any(term.field == field and _excludes_null(term) for term in self._query.terms)
        return _whole(self._query).column(field).nullable and not known


def _compared(column: ColumnElement[Any], term: Term, place: int) -> ColumnElement[bool]:
    match term.operator:
        case "is null":
            return column.is_(None)
        case "is not null":
            return column.is_not(None)
        case "=":
            return column.is_(None) if term.value is None else column == given(place)
        case "!=":
            return column.is_not(None) if term.value is None else column.is_distinct_from(given(place))
    return RANGES[term.operator](column, given(place))


def _excludes_null(term: Term) -> bool:
    return term.operator in EXCLUDES_NULL and (term.operator == "is not null" or term.value is not None)


def _merged(query: Query[Any]) -> Term | None:
    """The term that is split into ordered lists."""
    if query.limit is None or not query.order:
        return None
    alternatives = [t for t in query.terms if t.operator == "in" or (t.operator == "=" and "|" in t.field)]
    return next((t for t in alternatives if 0 < len(_wanted(query, t)) * len(t.fields) <= MERGED), None)


def _values(plan: Plan, query: Query[Any], merged: Term | None) -> list[Any]:
    """The order of the places: terms, limit, offset, cursor, the values of the merged term."""
    values = [pack(term.value) for pack, term in zip(plan.packs, query.terms, strict=True)]
    values += (2**62 if query.limit is None else query.limit, query.offset)
    if query.after is not None:
        of = _whole(query)
        values += [of.packed(_field(name), last) for name, last in zip(query.order, query.after, strict=True)]
    return values + _wanted(query, merged) if merged else values


def _wanted(query: Query[Any], term: Term) -> list[Any]:
    return _distinct(_whole(query), term.fields[0], term.value if term.operator == "in" else [term.value])


def _distinct(of: Mapper, field: str, values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(of.packed(field, value) for value in values if value is not None))


def _shape(query: Query[Any], merged: Term | None) -> tuple[Any, ...]:
    return (
        tuple([(term.field, term.operator, term.value is None) for term in query.terms]),
        query.order,
        None if query.after is None else tuple(last is None for last in query.after),
        query.limit is None and not query.offset,
        merged and (query.terms.index(merged), len(_wanted(query, merged))),
    )


def _packing(count: int, parts: Sequence[tuple[int, Convert]]) -> Callable[[Sequence[Any]], Row]:
    """What makes parameters of so many given values: for each, which value it is, and how that is packed."""

    def bind(given: Sequence[Any]) -> Row:
        if len(given) != count:
            raise ValueError(f"{len(given)} values are given for {count}")
        return tuple([pack(given[place]) for place, pack in parts])

    return bind


def _whole(query: Query[Any]) -> Mapper:
    """That of the entity, of which the query may tell a part only: it asks by all its fields."""
    return mapper(kind_of(query.kind).entity)


def _field(name: str) -> str:
    return name.removeprefix("-")
