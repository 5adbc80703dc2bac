"""The tables of all entities."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

ANY_CASE = """
    DO $$ BEGIN
        IF current_setting('server_version_num')::integer >= 170000 THEN
            CREATE COLLATION callvault_any_case (provider = builtin, locale = 'C.UTF-8');
        ELSE
            CREATE COLLATION callvault_any_case (provider = icu, locale = 'und');
        END IF;
    END $$
"""
"""By which PostgreSQL knows the lowercase of all letters, whatever the database's own locale."""


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    if dialect == "postgresql":
        op.get_bind().exec_driver_sql(ANY_CASE)
    script = Path(__file__).with_name(f"v0001_entities.{dialect}.sql").read_text()
    for statement in script.split(";\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
