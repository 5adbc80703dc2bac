"""What procrastinate needs on PostgreSQL, by its own migrations; on SQLite the jobs' table is the queue."""

from pathlib import Path

from alembic import op
from procrastinate.schema import migrations_path

revision = "0002"
down_revision = "0001"

LAST = "03.04.00_50"
"""Later ones are brought by later revisions."""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for script in scripts_up_to(LAST):
            op.get_bind().exec_driver_sql(script.read_text().replace("%", "%%"))


def scripts_up_to(last: str) -> list[Path]:
    return [script for script in sorted(migrations_path.glob("*.sql")) if script.name[: len(last)] <= last]
