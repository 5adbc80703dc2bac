"""Job engines: a queue in the jobs' own table, and procrastinate on PostgreSQL."""
