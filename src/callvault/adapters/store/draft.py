"""Writes the tables of the first migration anew, from the kinds: `python -m callvault.adapters.store.draft`."""

from pathlib import Path
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from callvault.adapters.store.schema import METADATA

VERSIONS = Path(__file__).parent / "migrations" / "versions"
DIALECTS: dict[str, Any] = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}


def script(dialect: str) -> str:
    statements: list[Any] = []
    for table in METADATA.sorted_tables:
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [CreateTable(table), *(CreateIndex(index) for index in indexes)]
    texts = (str(statement.compile(dialect=DIALECTS[dialect]())).strip() for statement in statements)
    return "".join(f"{text.replace(chr(9), '  ').replace(' ' + chr(10), chr(10))};\n\n" for text in texts)


if __name__ == "__main__":
    for dialect in DIALECTS:
        (VERSIONS / f"v0001_entities.{dialect}.sql").write_text(script(dialect))
