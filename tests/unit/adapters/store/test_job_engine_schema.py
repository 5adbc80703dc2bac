"""Procrastinate's schema as our migrations bring it, against what the installed library wants."""

import psycopg
import pytest
from procrastinate.schema import SchemaManager, migrations_path
from tests.servers import PostgresServer

from callvault.adapters.store.migration import migrate
from callvault.adapters.store.migrations.versions import v0002_job_engine

pytestmark = pytest.mark.postgres

SHAPE = """
    SELECT 'function', proname || '(' || pg_get_function_identity_arguments(oid) || ')', prosrc FROM pg_proc
    WHERE proname LIKE 'procrastinate%'
    UNION ALL
    SELECT 'column', table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable, column_default)
    FROM information_schema.columns WHERE table_name LIKE 'procrastinate%'
    UNION ALL
    SELECT 'index', indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'procrastinate%'
    UNION ALL
    SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'procrastinate%'
    UNION ALL
    SELECT 'word', enumlabel, typname FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid
    UNION ALL
    SELECT 'rule', conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text LIKE 'procras%'
"""


def shape_of(url: str) -> dict[tuple[str, str], str]:
    with psycopg.connect(url) as connection:
        return {(kind, name): " ".join(str(made).split()) for kind, name, made in connection.execute(SHAPE)}


def test_our_migrations_bring_what_the_library_would_make_itself(postgres_server: PostgresServer) -> None:
    ours, theirs = postgres_server.create(), postgres_server.create()
    migrate(ours)
    with psycopg.connect(theirs) as connection:
        connection.execute(SchemaManager.get_schema())
    made, wanted = shape_of(ours), shape_of(theirs)
    postgres_server.drop(ours)
    postgres_server.drop(theirs)
    assert {name: made.get(name) for name in wanted if made.get(name) != wanted[name]} == {}


def test_no_migration_of_the_installed_library_is_left_out() -> None:
    assert max(script.name for script in migrations_path.glob("*.sql")) == v0002_job_engine.UP_TO
