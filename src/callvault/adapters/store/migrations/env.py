"""Run by alembic, on the connection that `migration.py` hands over."""

from alembic import context

from callvault.adapters.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
)
context.run_migrations()
