"""The tables of all entities."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    script = Path(__file__).with_name(f"v0001_entities.{dialect}.sql").read_text()
    for statement in script.split(";\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
