"""Writes and reads as SQL text, compiled once for each shape and afterwards only bound to values."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ClauseElement,
    ColumnElement,
    LargeBinary,
    UnaryExpression,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.types import TypeEngine

from callvault.adapters.store.kinds import LABEL_FACTS, Fields, kind_of
from callvault.adapters.store.rows import Row, mapper
from callvault.adapters.store.schema import AUDIT_HEADS, COUNTERS, LABELS, TABLES
from callvault.domain.audit import AuditBlock, AuditMention

SQLITE: Any = sqlite.dialect
POSTGRESQL: Any = postgresql.dialect
ONE: ColumnElement[int] = literal_column("1")


@dataclass(frozen=True)
class Sql:
    text: str
    places: tuple[int, ...]
    """For each parameter of the text, which of the given values it is."""

    @cached_property
    def bind(self) -> Callable[[Sequence[Any]], Row]:
        match self.places:
            case ():
                return lambda values: ()
            case (place,):
                return lambda values: (values[place],)
        return itemgetter(*self.places)


def given(place: int, of: TypeEngine[Any] | None = None) -> BindParameter[Any]:
    """The parameter that is bound to the value at the place; of a type, where the statement does not tell."""
    return bindparam(f"p{place}", type_=of)


class Dialect:
    """What the two databases say differently."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_sqlite = name == "sqlite"
        self.insert = sqlite.insert if self.is_sqlite else postgresql.insert
        self._compiler: Any = SQLITE() if self.is_sqlite else POSTGRESQL(paramstyle="numeric_dollar")

    def compile(self, statement: ClauseElement) -> Sql:
        compiled: Any = statement.compile(dialect=self._compiler)
        return Sql(str(compiled), tuple(int(name[1:]) for name in compiled.positiontup or ()))

    def list_of(self, values: Sequence[Any]) -> Any:
        """How a list is handed over as one value."""
        return json.dumps(values) if self.is_sqlite else list(values)

    def numbers(self, values: list[int]) -> Any:
        """The same, of numbers, which JSON writes as Python does."""
        return str(values) if self.is_sqlite else values

    def each_number(self, place: int) -> ColumnElement[int]:
        """The numbers of a list so handed over, each as a row."""
        if self.is_sqlite:
            return _each(given(place))
        return func.unnest(cast(given(place), postgresql.ARRAY(BigInteger)))

    def one_of(self, column: ColumnElement[Any], place: int) -> ColumnElement[bool]:
        if self.is_sqlite:
            return column.in_(select(_each(given(place))))
        return column == func.any(given(place))

    def listed(self, column: ColumnElement[Any], place: int) -> Any:
        """The JSON list in the column has the value."""
        if self.is_sqlite:
            return given(place).in_(select(_each(column)))
        return func.jsonb_exists(column.cast(postgresql.JSONB), given(place))

    def outside_index(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The column, so written that the planner does not begin its search in the index by it."""
        return UnaryExpression(column, operator=custom_op("+")) if self.is_sqlite else column

    def contains(self, column: ColumnElement[Any], place: int) -> ColumnElement[bool]:
        """The text in the column has the lowercase text in it, in any case."""
        if self.is_sqlite:
            return func.instr(_lowered(column), given(place)) >= ONE
        return func.strpos(func.lower(column.collate("callvault_any_case")), given(place)) >= ONE


def _each(listed: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.json_each(listed).table_valued("value").c.value


def _lowered(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """SQLite's own `lower` knows ASCII only; the other is made by `SqliteStore`, and each call of it wants the
    interpreter, which has other work."""
    wide = func.length(column) != func.length(column.cast(LargeBinary))
    return case((wide, func.lowered(column)), else_=func.lower(column))


class Statements:
    """Those for single entities, with the rows of `rows.Mapper` as their values."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._verbs: dict[str, Callable[..., ClauseElement]] = {
            "get": self._get,
            "add": self._add,
            "put": self._put,
            "change": self._change,
            "remove": self._remove,
            "bump": self._bump,
            "label": self._label,
            "unlabel": self._unlabel,
        }
        self._compiled: dict[tuple[str, type[Any], Fields], Sql] = {}
        self.count = self._dialect.compile(_counting(dialect))
        self.blocks = tuple(map(self._dialect.compile, _blocks(dialect)))
        """Each takes the row of a block and, behind it, the list of the keys of what it mentions."""
        self.lock_head = self._dialect.compile(_locking(dialect))
        self.move_head = self._dialect.compile(_moving(dialect))

    def __call__(self, verb: str, entity: type[Any], names: Fields = ()) -> Sql:
        key = (verb, entity, names)
        if key not in self._compiled:
            self._compiled[key] = self._dialect.compile(self._verbs[verb](entity, *([names] if names else [])))
        return self._compiled[key]

    def _get(self, entity: type[Any]) -> ClauseElement:
        table, key = TABLES[entity], kind_of(entity).key
        where = (table.c[name] == given(n) for n, name in enumerate(key))
        return select(*(table.c[name] for name in mapper(entity).names)).where(*where)

    def _add(self, entity: type[Any]) -> ClauseElement:
        return self._dialect.insert(TABLES[entity]).values(_given_row(entity))

    def _put(self, entity: type[Any]) -> ClauseElement:
        statement = self._dialect.insert(TABLES[entity]).values(_given_row(entity))
        key = kind_of(entity).key
        rest = {name: statement.excluded[name] for name in mapper(entity).names if name not in key}
        if not rest:
            return statement.on_conflict_do_nothing(index_elements=key)
        return statement.on_conflict_do_update(index_elements=key, set_=rest)

    def _change(self, entity: type[Any], names: Fields) -> ClauseElement:
        """Where there is a version, only if the stored one is one below."""
        table, places = TABLES[entity], mapper(entity).place
        statement = update(table).values({name: given(places[name]) for name in names}).where(_is(entity))
        if "version" in places:
            statement = statement.where(table.c.version == given(places["version"]) - ONE)
        return statement

    def _remove(self, entity: type[Any]) -> ClauseElement:
        return delete(TABLES[entity]).where(_is(entity))

    def _bump(self, entity: type[Any], names: Fields) -> ClauseElement:
        """The amounts stand behind the row's values."""
        table, width = TABLES[entity], len(mapper(entity).names)
        more = {name: table.c[name] + given(width + n) for n, name in enumerate(names)}
        return update(table).values(more).where(_is(entity))

    def _unlabel(self, entity: type[Any]) -> ClauseElement:
        return delete(LABELS[entity]).where(LABELS[entity].c.id == given(0))

    def _label(self, entity: type[Any]) -> ClauseElement:
        values = {name: given(n) for n, name in enumerate(("id", "label", *LABEL_FACTS))}
        return self._dialect.insert(LABELS[entity]).values(values).on_conflict_do_nothing()


def _given_row(entity: type[Any]) -> dict[str, Any]:
    return {name: given(place) for name, place in mapper(entity).place.items()}


def _is(entity: type[Any]) -> ColumnElement[bool]:
    table, places = TABLES[entity], mapper(entity).place
    return and_(*(table.c[name] == given(places[name]) for name in kind_of(entity).key))


def _counting(dialect: Dialect) -> ClauseElement:
    """Raises the count of a name to a floor, adds to it, and keeps others off until the transaction ends."""
    name, floor, more = given(0), given(1, BigInteger()), given(2, BigInteger())
    statement = dialect.insert(COUNTERS).values(name=name, value=floor + more)
    stood = case((COUNTERS.c.value > floor, COUNTERS.c.value), else_=floor)
    counted = statement.on_conflict_do_update(index_elements=["name"], set_={"value": stood + more})
    return counted.returning(COUNTERS.c.value)


def _locking(dialect: Dialect) -> ClauseElement:
    """The head of a chain, kept from others until the transaction ends: on SQLite everything is."""
    if dialect.is_sqlite:
        return select(AUDIT_HEADS.c.seq, AUDIT_HEADS.c.digest).where(AUDIT_HEADS.c.workspace_id == given(0))
    statement = dialect.insert(AUDIT_HEADS).values(workspace_id=given(0), seq=given(1), digest=given(2))
    same = {"workspace_id": statement.excluded.workspace_id}
    return statement.on_conflict_do_update(index_elements=["workspace_id"], set_=same).returning(
        AUDIT_HEADS.c.seq, AUDIT_HEADS.c.digest
    )


def _moving(dialect: Dialect) -> ClauseElement:
    seq, digest = given(1), given(2)
    statement = dialect.insert(AUDIT_HEADS).values(workspace_id=given(0), seq=seq, digest=digest)
    return statement.on_conflict_do_update(index_elements=["workspace_id"], set_={"seq": seq, "digest": digest})


def _blocks(dialect: Dialect) -> tuple[Any, ...]:
    """A block and its mentions; as one statement where each is a round trip. A mention of another workspace may be the
    same as one of these, and serves both."""
    seq, keys = mapper(AuditBlock).place["seq"], len(mapper(AuditBlock).names)
    # Without a `where`, SQLite takes the `on` of the conflict for that of a join.
    mentioned = select(dialect.each_number(keys), cast(given(seq), BigInteger)).where(true())
    mentions = dialect.insert(TABLES[AuditMention]).from_select(mapper(AuditMention).names, mentioned)
    mentions = mentions.on_conflict_do_nothing()
    block = dialect.insert(TABLES[AuditBlock]).values(_given_row(AuditBlock))
    return (mentions, block) if dialect.is_sqlite else (block.add_cte(mentions.cte("mentions")),)
