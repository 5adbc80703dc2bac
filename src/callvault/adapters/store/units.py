"""A unit of work as steps of SQL, for a database that runs them in one transaction, in order.

What others may wait for is locked in one order, the shortest held last: counts of chats, the entities (of one kind by
their keys), the ends of audit chains (with each its mentions by their keys), the position of events.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from callvault.adapters.store.kinds import LABEL_FACTS, Fields, kind_of
from callvault.adapters.store.rows import Row, mapper
from callvault.adapters.store.statements import Dialect, Statements
from callvault.domain.audit import GENESIS, AuditBlock, AuditEntry, chained
from callvault.domain.call import Call
from callvault.domain.errors import Missing, StaleWrite
from callvault.domain.event import Event
from callvault.domain.job import Job
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit, Write


@dataclass(frozen=True, slots=True)
class Step:
    text: str
    rows: Sequence[Row]
    """The statement runs once for each."""
    answer: str = "nothing"
    """What is to be sent back: `nothing`, the `row` that it returned, or how many rows it has changed (`count`)."""
    noun: str = "entry"
    """Of which there is one already, when the database says that there is."""


Steps = Generator[Step, Any, None]
Chats = dict[str, int]
"""The chat ids of new calls, by the calls' own ids."""


class Units:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect, self._statements = dialect, Statements(dialect)

    def steps(self, unit: Unit) -> Steps:
        chats = yield from self._chats(unit)
        for (verb, entity), writes in groupby(unit.writes, lambda write: (write.verb, type(write.entity))):
            yield from self._write(verb, entity, list(writes), chats)
        yield from self._enqueue(unit.jobs)
        for workspace_id in sorted({entry.workspace_id for entry in unit.audit}):
            yield from self._audit(workspace_id, [entry for entry in unit.audit if entry.workspace_id == workspace_id])
        yield from self._tell(unit.events)

    def _chats(self, unit: Unit) -> Generator[Step, Any, Chats]:
        calls = [w.entity for w in unit.writes if w.verb == "add" and isinstance(w.entity, Call)]
        chats = {call.id: call.chat_id for call in calls}
        for workspace_id in sorted({call.workspace_id for call in calls}):
            names = [call.id for call in calls if call.workspace_id == workspace_id]
            uncounted = [name for name in names if not chats[name]]
            (last,) = yield self._count(f"chats:{workspace_id}", max(chats[n] for n in names), len(uncounted))
            chats.update(zip(uncounted, range(last - len(uncounted) + 1, last + 1), strict=True))
        return chats

    def _count(self, name: str, floor: int, more: int) -> Step:
        sql = self._statements.count
        return Step(sql.text, [sql.bind((name, floor, more))], "row")

    def _write(self, verb: str, entity: type[Any], writes: list[Write], chats: Chats) -> Steps:
        match verb:
            case "add":
                yield from self._add(entity, [counted(write.entity, chats) for write in writes])
            case "change":
                for write in _by_key(entity, writes):
                    yield from self._change(write.entity)
            case "put" | "remove":
                yield from self._replace(verb, entity, [write.entity for write in _by_key(entity, writes)])
            case "bump":
                for write in _by_key(entity, writes):
                    yield self._bump(write)

    def _add(self, entity: type[Any], entities: Sequence[Any]) -> Steps:
        rows = [mapper(entity).row(one) for one in entities]
        yield self._step(self._statements("add", entity), rows, entity)
        yield from self._label(entity, entities)

    def _change(self, one: Any) -> Steps:
        entity = type(one)
        names = yield from self._update(entity, mapper(entity).row(one))
        if names is None:
            raise (StaleWrite if "version" in mapper(entity).place else Missing)(what=kind_of(entity).noun)
        if not {kind_of(entity).labels, *LABEL_FACTS}.isdisjoint(names):
            yield from self._unlabel(entity, [one])
            yield from self._label(entity, [one])

    def _update(self, entity: type[Any], row: Row) -> Generator[Step, Any, Fields | None]:
        """The fields that it has set; None when what is stored is not what was to be changed."""
        names = mapper(entity).names
        done = yield self._step(self._statements("change", entity, names), [row], entity, "count")
        return names if done else None

    def _replace(self, verb: str, entity: type[Any], entities: list[Any]) -> Steps:
        rows = [mapper(entity).row(one) for one in entities]
        yield self._step(self._statements(verb, entity), rows, entity)
        yield from self._unlabel(entity, entities)
        if verb == "put":
            yield from self._label(entity, entities)

    def _bump(self, write: Write) -> Step:
        entity = type(write.entity)
        sql = self._statements("bump", entity, tuple(write.fields))
        return self._step(sql, [mapper(entity).row(write.entity) + tuple(write.fields.values())], entity)

    def _unlabel(self, entity: type[Any], entities: Sequence[Any]) -> Steps:
        if kind_of(entity).labels:
            yield self._step(self._statements("unlabel", entity), [(one.id,) for one in entities], entity)

    def _label(self, entity: type[Any], entities: Sequence[Any]) -> Steps:
        if field := kind_of(entity).labels:
            labels = [
                (one.id, label, *mapper(entity).key(one, LABEL_FACTS))
                for one in entities
                for label in getattr(one, field)
            ]
            if labels:
                yield self._step(self._statements("label", entity), labels, entity)

    def _enqueue(self, jobs: Sequence[Job]) -> Steps:
        if jobs:
            yield from self._add(Job, jobs)

    def _audit(self, workspace_id: str, entries: list[AuditEntry]) -> Steps:
        lock, move = self._statements.lock_head, self._statements.move_head
        begun = (0, GENESIS)
        seq, digest = (yield Step(lock.text, [lock.bind((workspace_id, *begun))], "row")) or begun
        rows = []
        for block, keys in chained(entries, seq, digest):
            rows.append((*mapper(AuditBlock).row(block), self._dialect.numbers(keys)))
            seq, digest = block.seq, block.digest
        for sql in self._statements.blocks:
            yield self._step(sql, rows, AuditBlock)
        yield Step(move.text, [move.bind((workspace_id, seq, digest))])

    def _tell(self, events: Sequence[Event]) -> Steps:
        if events:
            (last,) = yield self._count("events", 0, len(events))
            first = last - len(events) + 1
            yield from self._add(Event, [replace(event, position=first + n) for n, event in enumerate(events)])

    def _step(self, sql: Any, rows: Sequence[Row], entity: type[Any], answer: str = "nothing") -> Step:
        return Step(sql.text, [sql.bind(row) for row in rows], answer, kind_of(entity).noun)


def counted(one: Any, chats: Chats) -> Any:
    """A new call, or a recording of one, with the call's chat id."""
    if isinstance(one, Call | Recording):
        chat_id = chats.get(one.id if isinstance(one, Call) else one.call_id)
        return replace(one, chat_id=chat_id) if chat_id else one
    return one


def _by_key(entity: type[Any], writes: list[Write]) -> list[Write]:
    key = kind_of(entity).key
    return sorted(writes, key=lambda write: mapper(entity).key(write.entity, key))
