"""The tables of both databases, derived from the kinds; SQLAlchemy serves as schema and compiler, never as a driver.

How to keep a new entity is told in `kinds.py`. Columns hold integers, numbers, text and bytes only; text is compared
byte by byte on both databases, so that order and cursors are the same everywhere.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Double,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import Column as SqlColumn
from sqlalchemy.types import TypeEngine

from callvault.adapters.store.kinds import KINDS, LABEL_FACTS, PARTS, Kind
from callvault.adapters.store.rows import Column, mapper

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
TEXT = Text().with_variant(Text(collation="C"), "postgresql")
TYPES: dict[str, TypeEngine[Any]] = {
    "int": BigInteger(),
    "bool": SmallInteger(),
    "float": Double(),
    "bytes": LargeBinary(),
    "text": TEXT,
    "json": TEXT,
}

METADATA = MetaData(naming_convention=NAMING)

COUNTERS = Table(
    "counters",
    METADATA,
    SqlColumn("name", TEXT, primary_key=True),
    SqlColumn("value", BigInteger, nullable=False),
)
"""`events` holds the last event's position, `chats:<workspace>` the last chat id. A row is its count's lock, too."""

AUDIT_HEADS = Table(
    "audit_heads",
    METADATA,
    SqlColumn("workspace_id", TEXT, primary_key=True),
    SqlColumn("seq", BigInteger, nullable=False),
    SqlColumn("digest", TEXT, nullable=False),
)
"""The end of each workspace's chain. A row is also the lock of its chain."""


def _column(column: Column) -> SqlColumn[Any]:
    return SqlColumn(column.name, TYPES[column.type], nullable=column.nullable)


def _table(kind: Kind) -> Table:
    columns = map(_column, mapper(kind.entity).columns)
    # What is nothing but its key would be kept twice by SQLite.
    more_than_key = mapper(kind.entity).names != kind.key
    table = Table(kind.table, METADATA, *columns, PrimaryKeyConstraint(*kind.key), sqlite_with_rowid=more_than_key)
    for names in kind.unique:
        table.append_constraint(UniqueConstraint(*names))
    for names in kind.indexes:
        name = f"ix_{kind.table}_{'_'.join(names).replace('-', '')}"
        Index(name, *(table.c[n[1:]].desc() if n.startswith("-") else table.c[n] for n in names))
    for names in kind.live:
        living = table.c.deleted_ms.is_(None)
        name = f"ix_{kind.table}_live_{'_'.join(names)}"
        Index(name, *(table.c[name] for name in names), sqlite_where=living, postgresql_where=living)
    return table


def _labels(kind: Kind) -> Table:
    """Each label of each entity; its index answers what lists ask, in the order in which they are paged."""
    table = Table(
        f"{kind.table}_{kind.labels}",
        METADATA,
        SqlColumn("id", TEXT, primary_key=True),
        SqlColumn("label", TEXT, primary_key=True),
        *map(_column, map(mapper(kind.entity).column, LABEL_FACTS)),
    )
    names = ("workspace_id", "label", "created_ms", "id", "status", "deleted_ms")
    Index(f"ix_{table.name}_listed", *(table.c[name] for name in names))
    return table


TABLES = {kind.entity: _table(kind) for kind in KINDS}
TABLES |= {part: TABLES[whole] for part, whole in PARTS.items()}
LABELS = {kind.entity: _labels(kind) for kind in KINDS if kind.labels}
LABELS |= {part: LABELS[whole] for part, whole in PARTS.items() if whole in LABELS}
