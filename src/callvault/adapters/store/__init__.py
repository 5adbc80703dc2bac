"""One data layer over memory, SQLite and PostgreSQL."""
