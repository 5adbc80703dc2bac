"""What every test may ask for: real servers, shared by the run, and databases of its own."""

from tests.databases import postgres_database, postgres_of_this_worker, sqlite_database, sqlite_template
from tests.servers import own_postgres_server, postgres_server, postgres_url
from tests.servers_s3 import own_s3_server, s3_server

__all__ = [
    "own_postgres_server",
    "own_s3_server",
    "postgres_database",
    "postgres_of_this_worker",
    "postgres_server",
    "postgres_url",
    "s3_server",
    "sqlite_database",
    "sqlite_template",
]
