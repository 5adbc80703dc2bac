"""Every migration, on both databases, over tables that have rows in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import BigInteger, Connection, Double, LargeBinary, MetaData, SmallInteger, Table, insert, select, text
from tests.specimens import specimen

from callvault.adapters.store.draft import DIALECTS, VERSIONS, script
from callvault.adapters.store.kinds import KINDS
from callvault.adapters.store.migration import config, connected, migrate, revision
from callvault.adapters.store.postgres import PostgresStore
from callvault.adapters.store.revisions import known
from callvault.adapters.store.schema import METADATA
from callvault.adapters.store.sqlite import SqliteStore
from callvault.domain.query import Query
from callvault.domain.unit import Unit

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
Opened = SqliteStore | PostgresStore


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/vault.db"
    return str(request.getfixturevalue("postgres_url"))


def opened(url: str) -> Opened:
    return SqliteStore(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else PostgresStore(url)


def tables_of(connection: Connection) -> list[Table]:
    """Ours; the job engine's are its own business."""
    reflected = MetaData()
    reflected.reflect(connection)
    engine = ("alembic_version", "procrastinate_", "sqlite_")
    return [table for table in reflected.sorted_tables if not table.name.startswith(engine)]


def filled(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Three rows in every table, and what they are."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in tables_of(connection):
        rows[table.name] = [{c.name: value_for(c.type, c.name, n) for c in table.columns} for n in range(3)]
        connection.execute(insert(table), rows[table.name])
    return rows


def value_for(of: Any, name: str, n: int) -> Any:
    kinds: list[tuple[type, Callable[[], Any]]] = [
        (SmallInteger, lambda: n % 2),
        (BigInteger, lambda: 2**40 + n),
        (Double, lambda: n + 0.5),
        (LargeBinary, lambda: bytes([n, 0])),
    ]
    return next((make() for kind, make in kinds if isinstance(of, kind)), f"{name} {n} é")


@pytest.mark.parametrize("last", known()[1:])
def test_a_migration_keeps_every_row_that_was_there(url: str, last: str) -> None:
    migrate(url, known()[known().index(last) - 1])
    with connected(url) as connection:
        before = filled(connection)
    migrate(url, last)
    with connected(url) as connection:
        after = {table.name: table for table in tables_of(connection)}
        for name, rows in before.items():
            kept = [after[name].c[column] for column in rows[0] if column in after[name].c]
            found = connection.execute(select(*kept)).mappings().all()
            key = next(iter(rows[0]))
            expected = [{column.name: row[column.name] for column in kept} for row in rows]
            assert sorted(map(dict, found), key=lambda row: row[key]) == expected
    assert revision(url) == last


async def test_entities_of_a_database_survive_a_migration_that_has_nothing_to_do(url: str) -> None:
    migrate(url)
    entities = [specimen(kind.entity) for kind in KINDS]
    store, unit = opened(url), Unit()
    unit.add(*entities)
    await store.commit(unit)
    await store.close()
    migrate(url)
    store = opened(url)
    await store.check()
    assert [list(await store.find(Query(type(entity)))) for entity in entities] == [[entity] for entity in entities]
    await store.close()


def test_the_migrations_make_the_schema_that_the_program_uses(url: str) -> None:
    migrate(url)
    with connected(url) as connection:
        named = {table.name for table in METADATA.tables.values()}
        ours = {"include_name": lambda name, kind, _: kind != "table" or name in named}
        differences = compare_metadata(MigrationContext.configure(connection, opts=ours), METADATA)
    assert differences == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_first_migration_is_as_the_kinds_say(dialect: str) -> None:
    """Until the first release: `python -m callvault.adapters.store.draft` writes it anew."""
    assert (VERSIONS / f"v0001_entities.{dialect}.sql").read_text() == script(dialect)


def test_migrations_follow_one_another_and_only_forward(tmp_path: Path) -> None:
    with connected(f"sqlite:///{tmp_path}/any.db") as connection:
        scripts = list(ScriptDirectory.from_config(config(connection)).walk_revisions())
    assert [found.revision for found in reversed(scripts)] == known()
    assert not any(hasattr(found.module, "downgrade") for found in scripts)
    assert known() == [f"{n:04}" for n in range(1, len(known()) + 1)]


def test_a_migration_that_fails_leaves_the_database_as_it_was(url: str) -> None:
    with connected(url) as connection:
        connection.execute(text("CREATE TABLE turns (id text)"))
    with pytest.raises(Exception, match="turns"):
        migrate(url)
    with connected(url) as connection:
        assert [table.name for table in tables_of(connection)] == ["turns"]
    assert revision(url) is None
