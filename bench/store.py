"""The SQLite store at a million recordings: pages, point reads, counts, and how many units a second it commits.

python -m bench.store [rows]
"""

import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from callvault.adapters.store.kinds import LABEL_FACTS
from callvault.adapters.store.migration import migrate
from callvault.adapters.store.rows import Row, mapper
from callvault.adapters.store.sqlite import SqliteStore
from callvault.adapters.store.statements import Dialect, Statements
from callvault.adapters.system import SystemIds
from callvault.domain.audit import AuditEntry
from callvault.domain.call import Call
from callvault.domain.event import Event
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit

ROWS = 1_000_000
PAGE = 50
BEGIN_MS = 1_700_000_000_000
Line = tuple[str, ...]


def run(rows: int = ROWS) -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="callvault-bench-") as folder:
        path = Path(folder) / "vault.db"
        migrate(f"sqlite:///{path}")
        began = time.monotonic()
        _fill(path, rows)
        filled = (f"{rows} recordings and as many calls", f"filled in {time.monotonic() - began:.0f} s", "")
        size = (f"{path.stat().st_size / rows / 2:.0f} bytes a row", "with indexes", "")
        return [("what", "p50", "p99"), filled, size, *asyncio.run(_measure(path, rows))]


# -- a vault full of calls ----------------------------------------------------------------------


def _fill(path: Path, rows: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    statements = Statements(Dialect("sqlite"))
    for verb, entity, made in (
        ("add", Call, _calls(rows)),
        ("add", Recording, _recordings(rows)),
        ("label", Recording, _labels(rows)),
    ):
        sql = statements(verb, entity)
        connection.execute("BEGIN")
        connection.executemany(sql.text, map(sql.bind, made))
        connection.execute("COMMIT")
    connection.close()


def _id(n: int) -> str:
    return f"01890000-0000-7000-8000-{n:012x}"


def _when(n: int) -> int:
    """A few calls in each millisecond, so that cursors meet ties."""
    return BEGIN_MS + n // 3


def _of(entity: Any, given: Iterable[dict[str, Any]]) -> Iterable[Row]:
    """Rows like the entity's but for what is given."""
    of = mapper(type(entity))
    base = of.row(entity)
    for changes in given:
        row = list(base)
        for name, value in changes.items():
            row[of.place[name]] = of.packed(name, value)
        yield tuple(row)


def _calls(rows: int) -> Iterable[Row]:
    dice = random.Random(1)
    base = Call(id="", workspace_id="w", public_id="", created_ms=0, updated_ms=0, metadata={"team": "support"})
    return _of(
        base,
        (
            {
                "id": _id(n),
                "public_id": f"call_{n:024}",
                "chat_id": n + 1,
                "created_ms": _when(n),
                "direction": dice.choices(("inbound", "outbound", "web"), (70, 29.9, 0.1))[0],
                "kind": "phone" if dice.random() > 0.001 else "direct",
                "status": dice.choices(("ended", "failed", "in-progress"), (98.9, 1, 0.1))[0],
                "assistant_id": f"assistant-{dice.randrange(1000)}",
                "phone_number_id": f"number-{dice.randrange(200)}",
                "from_number": f"+1202{dice.randrange(10**5):07}",
                "to_number": f"+1303{dice.randrange(200):07}",
                "deleted_ms": BEGIN_MS if dice.random() < 0.05 else None,
            }
            for n in range(rows)
        ),
    )


def _tags(n: int) -> tuple[str, ...]:
    return (
        *(["half"] if n % 2 else []),
        *(["hundredth"] if n % 100 == 0 else []),
        *(["rare"] if n % 50_000 == 7 else []),
    )


def _recordings(rows: int) -> Iterable[Row]:
    dice = random.Random(2)
    base = Recording(
        id="", workspace_id="w", call_id="", created_ms=0, updated_ms=0, last_heard_ms=0, in_progress=False
    )
    return _of(
        base,
        (
            {
                "id": _id(n),
                "call_id": _id(n),
                "created_ms": _when(n),
                "status": dice.choices(("completed", "failed", "processing"), (98.9, 1, 0.1))[0],
                "tags": _tags(n),
                "readers": ("member-1", "member-2") if dice.random() < 0.02 else None,
                "deleted_ms": BEGIN_MS if dice.random() < 0.05 else None,
            }
            for n in range(rows)
        ),
    )


def _labels(rows: int) -> Iterable[Row]:
    of = mapper(Recording)
    for row in _recordings(rows):
        facts = [row[of.place[name]] for name in LABEL_FACTS]
        for label in json.loads(row[of.place["tags"]]):
            yield (row[of.place["id"]], label, *facts)


# -- what is measured ---------------------------------------------------------------------------


async def _measure(path: Path, rows: int) -> list[Line]:
    store = SqliteStore(path)
    lines = [await _timed("a recording by its id", lambda n: store.get(Recording, _id(n * 7919 % rows)), 2000)]
    for name, query in _pages(rows).items():
        lines.append(await _timed(f"{name}, first page", lambda _, query=query: store.find(query.page(PAGE)), 50))
        lines.append(await _deep(store, name, query, rows))
    lines.append(await _timed("count of a workspace", lambda _: store.count(_live(Recording)), 3))
    lines.append(await _timed("calls whose name holds a text, none does", lambda _: store.find(_named().page(PAGE)), 3))
    for writers in (1, 16, 256):
        lines.append(await _commits(store, writers))
    await store.close()
    return lines


def _live(kind: type[Any]) -> Query[Any]:
    return Query(kind).where("workspace_id", "=", "w").where("deleted_ms", "is null")


def _named() -> Query[Any]:
    return _live(Call).where("name", "contains", "nobody").by("-created_ms", "-id")


def _pages(rows: int) -> dict[str, Query[Any]]:
    recordings, calls = (_live(kind).by("-created_ms", "-id") for kind in (Recording, Call))
    return {
        "recordings": recordings,
        "recordings a member may read": recordings.where("readers", "null or has", "member-1"),
        "recordings, status of 1 %": recordings.where("status", "=", "failed"),
        "recordings, status one of two": recordings.where("status", "in", ["failed", "processing"]),
        "recordings, tag of every other": recordings.where("tags", "has", "half"),
        "recordings, tag of 1 in 50 000": recordings.where("tags", "has", "rare"),
        "recordings, tag and status of 1 % each": recordings.where("tags", "has", "hundredth").where(
            "status", "=", "failed"
        ),
        "calls of an assistant": calls.where("assistant_id", "=", "assistant-7"),
        "calls from a number": calls.where("from_number", "=", "+12020000777"),
        "calls, direction of 1 in 1000": calls.where("direction", "=", "web"),
        "calls, direction and status": calls.where("direction", "=", "outbound").where("status", "=", "failed"),
        "calls of some time": calls.where("created_ms", ">=", _when(0)).where("created_ms", "<", _when(rows // 2)),
    }


async def _deep(store: SqliteStore, name: str, query: Query[Any], rows: int) -> Line:
    dice = random.Random(3)
    places = [dice.randrange(rows // 10, rows // 2) for _ in range(50)]
    return await _timed(
        f"{name}, deep", lambda n: store.find(query.page(PAGE, (_when(places[n]), _id(places[n])))), len(places)
    )


async def _timed(name: str, read: Callable[[int], Awaitable[Any]], times: int) -> Line:
    took = []
    for n in range(times):
        began = time.perf_counter()
        await read(n)
        took.append(time.perf_counter() - began)
    took.sort()
    return (name, *(f"{took[int(len(took) * part)] * 1000:.3f} ms" for part in (0.5, 0.99)))


async def _commits(store: SqliteStore, writers: int) -> Line:
    """Units as a use case makes them: a new call with its event and its audit entry, durable when acknowledged."""
    ids, each = SystemIds(), max(20, 4000 // writers)
    took: list[float] = []

    async def write() -> None:
        for _ in range(each):
            unit, name, now = Unit(), ids.uuid(), time.time_ns() // 1_000_000
            unit.add(Call(id=name, workspace_id="new", public_id=f"call_{name}", created_ms=now, updated_ms=now))
            unit.tell(Event(id=name, workspace_id="new", type="call.created", created_ms=now))
            unit.note(AuditEntry(workspace_id="new", at_ms=now, actor="system", action="bench", thing=name))
            began = time.perf_counter()
            await store.commit(unit)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    rate = len(took) / (time.perf_counter() - began)
    took.sort()
    waits = (f"{took[int(len(took) * part)] * 1000:.1f} ms" for part in (0.5, 0.99))
    return (f"{rate:.0f} units a second by {writers} writers", *waits)


if __name__ == "__main__":
    for line in run(*map(int, sys.argv[1:])):
        print("  ".join((line[0].ljust(48), *(cell.rjust(14) for cell in line[1:]))))
