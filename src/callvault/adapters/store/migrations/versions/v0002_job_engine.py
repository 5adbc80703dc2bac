"""What procrastinate needs on PostgreSQL; on SQLite the jobs' table is the queue."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

UP_TO = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
"""The last of the library's own migrations that is in it. Later ones are brought by later revisions: they cannot be
run from the first on, for PostgreSQL before 17 wants a commit between some of them."""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        script = Path(__file__).with_suffix(".sql").read_text()
        op.get_bind().exec_driver_sql(script.replace("%", "%%"))
