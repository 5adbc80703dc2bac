"""The store in this process's memory, for tests and trials: the contract without a database."""

import json
import operator
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from callvault.adapters.store.kinds import Kind, kind_of
from callvault.adapters.store.rows import Mapper, Row, mapper, text
from callvault.adapters.store.units import Chats, counted
from callvault.domain.audit import GENESIS, AuditEntry, AuditMention, chained
from callvault.domain.call import Call
from callvault.domain.errors import AlreadyThere, Missing, StaleWrite
from callvault.domain.query import Query, Term
from callvault.domain.unit import Unit, Write

T = TypeVar("T")

RANGES = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
LISTS: dict[str, Callable[[Any, Any], bool]] = {
    "in": lambda value, wanted: value is not None and value in wanted,
    "contains": lambda value, wanted: value is not None and wanted.lower() in value.lower(),
    "has": lambda value, wanted: value is not None and wanted in json.loads(value),
    "null or has": lambda value, wanted: value is None or wanted in json.loads(value),
}


class Table:
    """The rows of one kind, under their keys, and who holds each unique value."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.mapper = mapper(kind.entity)
        self.rows: dict[Row, Row] = {}
        self.holders: dict[tuple[tuple[str, ...], Row], Row] = {}

    def key(self, row: Row) -> Row:
        return self._pick(row, self.kind.key)

    def told(self, part: type[Any], row: Row) -> Any:
        """The row as the entity itself, or as the part of it that is asked for."""
        return mapper(part).entity_of(self._pick(row, mapper(part).names))

    def taken(self, row: Row) -> bool:
        """Whether another row has one of the values that must be unique."""
        return any(self.holders.get(claim, self.key(row)) != self.key(row) for claim in self._claims(row))

    def set(self, key: Row, row: Row | None) -> None:
        for claim in self._claims(self.rows.pop(key, None)):
            self.holders.pop(claim, None)
        if row is not None:
            self.rows[key] = row
            self.holders.update(dict.fromkeys(self._claims(row), key))

    def _claims(self, row: Row | None) -> list[tuple[tuple[str, ...], Row]]:
        if row is None:
            return []
        return [(names, values) for names in self.kind.unique if None not in (values := self._pick(row, names))]

    def _pick(self, row: Row, names: tuple[str, ...]) -> Row:
        return tuple(row[self.mapper.place[name]] for name in names)


class MemoryStore:
    def __init__(self) -> None:
        self._tables: dict[type[Any], Table] = {}
        self._lock = threading.RLock()
        self._position = 0
        self._chats: dict[str, int] = {}
        self._new_chats: Chats = {}
        self._heads: dict[str, tuple[int, str]] = {}
        self._undo: list[tuple[Table, Row, Row | None]] = []

    async def get(self, kind: type[T], *key: Any) -> T | None:
        with self._lock:
            table = self._table(kind)
            row = table.rows.get(tuple(map(table.mapper.packed, table.kind.key, key)))
            return table.told(kind, row) if row else None

    async def find(self, query: Query[T], *given: Any) -> Sequence[T]:
        with self._lock:
            table = self._table(query.kind)
            rows = _ordered(self._matching(query.filled(given)), query.order, table.mapper)
            if query.after is not None:
                rows = [row for row in rows if _behind(row, query, table.mapper)]
            end = None if query.limit is None else query.offset + query.limit
            return [table.told(query.kind, row) for row in rows[query.offset : end]]

    async def count(self, query: Query[T]) -> int:
        with self._lock:
            return len(self._matching(query))

    async def commit(self, unit: Unit) -> None:
        with self._lock:
            before = self._position, dict(self._chats), dict(self._heads)
            self._undo = []
            done = False
            try:
                self._apply(unit)
                done = True
            finally:
                if not done:
                    for table, key, row in reversed(self._undo):
                        table.set(key, row)
                    self._position, self._chats, self._heads = before

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def _table(self, kind: type[Any]) -> Table:
        of = kind_of(kind)
        if of.entity not in self._tables:
            self._tables[of.entity] = Table(of)
        return self._tables[of.entity]

    def _matching(self, query: Query[Any]) -> list[Row]:
        table = self._table(query.kind)
        tests = [
            (term, [(table.mapper.place[name], _wanted(term, name, table.mapper)) for name in term.fields])
            for term in query.terms
        ]
        rows = table.rows.values()
        return [
            row
            for row in rows
            if all(any(_meets(row[n], term, wanted) for n, wanted in places) for term, places in tests)
        ]

    def _apply(self, unit: Unit) -> None:
        self._new_chats = {}
        for write in unit.writes:
            self._write(write)
        for event in unit.events:
            self._position += 1
            self._add(replace(event, position=self._position))
        for workspace_id in dict.fromkeys(entry.workspace_id for entry in unit.audit):
            self._audit(workspace_id, [entry for entry in unit.audit if entry.workspace_id == workspace_id])
        for job in unit.jobs:
            self._add(job)

    def _audit(self, workspace_id: str, entries: list[AuditEntry]) -> None:
        mentions = self._table(AuditMention)
        for block, keys in chained(entries, *self._heads.get(workspace_id, (0, GENESIS))):
            self._add(block)
            for key in keys:
                self._set(mentions, (key, block.seq))
            self._heads[workspace_id] = block.seq, block.digest

    def _write(self, write: Write) -> None:
        table = self._table(type(write.entity))
        match write.verb:
            case "add":
                self._add(write.entity)
            case "change":
                self._change(table, write.entity)
            case "put":
                self._set(table, table.mapper.row(write.entity))
            case "remove":
                self._remember(table, table.mapper.key(write.entity, table.kind.key), None)
            case "bump":
                self._bump(table, write)

    def _add(self, entity: Any) -> None:
        table = self._table(type(entity))
        if isinstance(entity, Call):
            self._count(entity)
        entity = counted(entity, self._new_chats)
        row = table.mapper.row(entity)
        if table.key(row) in table.rows:
            raise AlreadyThere(what=table.kind.noun)
        self._set(table, row)

    def _count(self, call: Call) -> None:
        highest = self._chats.get(call.workspace_id, 0)
        chat_id = self._new_chats[call.id] = call.chat_id or highest + 1
        self._chats[call.workspace_id] = max(highest, chat_id)

    def _change(self, table: Table, entity: Any) -> None:
        row = table.mapper.row(entity)
        stored, version = table.rows.get(table.key(row)), table.mapper.place.get("version")
        if version is not None and (stored is None or stored[version] != row[version] - 1):
            raise StaleWrite(what=table.kind.noun)
        if stored is None:
            raise Missing(what=table.kind.noun)
        self._set(table, row)

    def _bump(self, table: Table, write: Write) -> None:
        stored = table.rows.get(table.mapper.key(write.entity, table.kind.key))
        if stored is None:
            return
        places = {table.mapper.place[name]: by for name, by in write.fields.items()}
        self._set(table, tuple(value + places[n] if n in places else value for n, value in enumerate(stored)))

    def _set(self, table: Table, row: Row) -> None:
        if table.taken(row):
            raise AlreadyThere(what=table.kind.noun)
        self._remember(table, table.key(row), row)

    def _remember(self, table: Table, key: Row, row: Row | None) -> None:
        self._undo.append((table, key, table.rows.get(key)))
        table.set(key, row)


def _wanted(term: Term, name: str, of: Mapper) -> Any:
    if term.operator == "in":
        return {of.packed(name, value) for value in term.value}
    if term.operator in ("contains", "has", "null or has"):
        return text(term.value)
    return of.packed(name, term.value)


def _meets(value: Any, term: Term, wanted: Any) -> bool:
    if term.operator in RANGES:
        return value is not None and wanted is not None and bool(RANGES[term.operator](value, wanted))
    if term.operator in LISTS:
        return LISTS[term.operator](value, wanted)
    return (value == wanted) is (term.operator in ("=", "is null"))


def _rank(value: Any) -> tuple[bool, Any]:
    """Nothing stands before everything."""
    return (value is not None, value)


def _ordered(rows: list[Row], order: tuple[str, ...], of: Mapper) -> list[Row]:
    for name in reversed(order):
        place = of.place[name.removeprefix("-")]
        rows = sorted(rows, key=lambda row: _rank(row[place]), reverse=name.startswith("-"))
    return rows


def _behind(row: Row, query: Query[Any], of: Mapper) -> bool:
    for name, last in zip(query.order, query.after or (), strict=True):
        field = name.removeprefix("-")
        here, there = _rank(row[of.place[field]]), _rank(of.packed(field, last))
        if here != there:
            return here < there if name.startswith("-") else here > there
    return False
