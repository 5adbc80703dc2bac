"""The schema, step by step, for alembic: see `migration.py` and `draft.py`."""
