"""What SQLite must hold besides the contract: crashes, full disks, other processes, and an event loop kept free."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from callvault.adapters.store.migration import migrate
from callvault.adapters.store.rows import Row
from callvault.adapters.store.sqlite import SqliteStore
from callvault.domain.call import Call
from callvault.domain.errors import DiskFull, Malformed, Misconfigured, StoreDamaged, StoreTooNew, StoreUnavailable
from callvault.domain.event import Event
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.workspace import Workspace

WRITER = Path(__file__).with_name("store_writer.py")


@pytest.fixture
async def store(sqlite_database: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(sqlite_database)
    yield opened
    await opened.close()


def unit_of(*entities: object) -> Unit:
    unit = Unit()
    unit.add(*entities)
    return unit


def call(id: str, **given: object) -> Call:
    facts = {"id": id, "workspace_id": "w", "public_id": f"call_{id}", "created_ms": 1, "updated_ms": 1}
    return Call(**facts | given)


async def test_killed_in_a_storm_of_commits_it_has_lost_nothing_that_was_acknowledged(sqlite_database: Path) -> None:
    acknowledged: set[str] = set()
    for n in range(3):
        acknowledged |= killed_in_a_storm(sqlite_database, f"storm-{n}", at_least=300)
    assert len(acknowledged) >= 900
    store = SqliteStore(sqlite_database)
    calls = {c.id for c in await store.find(Query(Call))}
    events = {e.id for e in await store.find(Query(Event))}
    positions = [e.position for e in await store.find(Query(Event).by("position"))]
    await store.close()
    assert acknowledged <= calls
    assert calls == events
    assert positions == list(range(1, len(events) + 1))
    assert sqlite3.connect(sqlite_database).execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def killed_in_a_storm(database: Path, name: str, at_least: int) -> set[str]:
    """What the process had acknowledged when it was killed, in the middle of more."""
    with subprocess.Popen(
        [sys.executable, WRITER, database, name, "1000000"], stdout=subprocess.PIPE, cwd=WRITER.parents[2]
    ) as child:
        assert child.stdout
        lines = [child.stdout.readline() for _ in range(at_least)]
        child.kill()
        lines += child.stdout.readlines()
    return {line.decode().strip() for line in lines if line.endswith(b"\n")}


async def test_another_process_may_write_beside_a_running_one(store: SqliteStore, sqlite_database: Path) -> None:
    command = [sys.executable, str(WRITER), str(sqlite_database), "beside", "60"]
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=WRITER.parents[2])
    ours = 0
    while child.returncode is None:
        await store.commit(unit_of(call(f"ours-{ours}")))
        ours += 1
        await asyncio.sleep(0.005)
    assert child.returncode == 0
    calls = await store.find(Query(Call).by("chat_id"))
    assert [c.chat_id for c in calls] == list(range(1, ours + 60 + 1))
    assert sum(c.id.startswith("beside") for c in calls) == 60


async def test_a_process_that_holds_the_database_too_long_is_told_of_and_waited_for(sqlite_database: Path) -> None:
    store = SqliteStore(sqlite_database, patience_seconds=0.1)
    other = sqlite3.connect(sqlite_database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="held by another process"):
        await store.commit(unit_of(call("a")))
    assert await store.get(Call, "a") is None
    other.execute("COMMIT")
    await store.commit(unit_of(call("a")))
    assert await store.get(Call, "a")
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_is_told_and_when_there_is_room_again_it_goes_on(small_disk: Path) -> None:
    migrate(f"sqlite:///{small_disk}/vault.db")
    store = SqliteStore(small_disk / "vault.db")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_200_000))
    await fill(store)
    ballast.unlink()
    await goes_on(store)
    await store.close()


class Limited(SqliteStore):
    """As on a disk with room for some pages more."""

    pages = 10**6

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.execute(f"PRAGMA max_page_count = {self.pages}")
        return connection


async def test_a_database_that_cannot_grow_tells_and_loses_nothing(sqlite_database: Path) -> None:
    limited = Limited(sqlite_database)
    limited.pages = sqlite3.connect(sqlite_database).execute("PRAGMA page_count").fetchone()[0] + 100
    await fill(limited)
    limited.pages = 10**6
    await goes_on(limited)
    await limited.close()


async def fill(store: SqliteStore) -> None:
    """Until it is full; what was acknowledged before is there afterwards, and small units still find room or say so."""
    count = 0
    with pytest.raises(DiskFull, match="free space under"):
        while True:
            await store.commit(unit_of(call(f"{count}", name="x" * 20_000)))
            count += 1
    assert count > 3
    assert await store.count(Query(Call)) == count


async def goes_on(store: SqliteStore) -> None:
    before = await store.count(Query(Call))
    await asyncio.gather(*(store.commit(unit_of(call(f"later-{n}", name="x" * 5000))) for n in range(20)))
    assert await store.count(Query(Call)) == before + 20


async def test_a_database_that_cannot_be_written_says_so_until_it_can(sqlite_database: Path) -> None:
    store = SqliteStore(sqlite_database, patience_seconds=0.1)
    other = sqlite3.connect(sqlite_database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await store.check()
    with pytest.raises(StoreUnavailable):
        await store.commit(unit_of(call("a")))
    with pytest.raises(StoreUnavailable):
        await store.check()
    other.execute("COMMIT")
    await store.check()
    await store.close()


async def test_what_there_is_room_for_is_kept_when_a_neighbour_is_too_large(sqlite_database: Path) -> None:
    limited = Limited(sqlite_database)
    limited.pages = sqlite3.connect(sqlite_database).execute("PRAGMA page_count").fetchone()[0] + 60
    sizes = [100, 100, 10**6, 100]
    units = (unit_of(call(f"{n}", name="x" * size)) for n, size in enumerate(sizes))
    outcomes = await asyncio.gather(*map(limited.commit, units), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), DiskFull, type(None)]
    assert [c.id for c in await limited.find(Query(Call).by("id"))] == ["0", "1", "3"]
    await limited.close()


async def test_a_long_read_leaves_the_event_loop_to_others(store: SqliteStore) -> None:
    await store.commit(unit_of(*(call(f"{n}", name=f"name {n}") for n in range(15_000))))
    reading = asyncio.create_task(store.count(Query(Call).where("name", "contains", "NAME 14")))
    beats = 0
    while not reading.done():
        await asyncio.sleep(0)
        beats += 1
    assert reading.result() == 1111
    assert beats > 10  # after three turns a read that held up the loop would be done


async def test_a_short_read_is_answered_in_the_next_turn_without_a_thread(store: SqliteStore) -> None:
    await store.commit(unit_of(call("a")))
    reading = asyncio.create_task(store.get(Call, "a"))
    for _ in ("asked", "answered", "heard"):
        assert not reading.done()
        await asyncio.sleep(0)
    assert reading.done()
    assert (await reading or call("none")).id == "a"


async def test_what_is_read_is_as_new_as_what_this_process_has_committed(store: SqliteStore) -> None:
    for n in range(50):
        assert await store.get(Call, f"{n}") is None
        await asyncio.gather(store.commit(unit_of(call(f"{n}"))), store.get(Call, "none"))
        assert await store.get(Call, f"{n}")


async def test_another_thread_s_commit_is_seen_in_the_same_turn_of_the_event_loop(store: SqliteStore) -> None:
    assert await store.get(Call, "a") is None
    other = threading.Thread(target=asyncio.run, args=[store.commit(unit_of(call("a")))])
    other.start()
    other.join()
    assert await store.get(Call, "a")


async def test_another_process_s_commit_is_seen_in_the_next_turn(store: SqliteStore, sqlite_database: Path) -> None:
    other = SqliteStore(sqlite_database)
    assert await store.get(Call, "a") is None
    await other.commit(unit_of(call("a")))
    assert await store.get(Call, "a")
    await other.close()


async def test_a_look_at_the_database_holds_it_for_no_longer_than_the_read(sqlite_database: Path) -> None:
    store = SqliteStore(sqlite_database)
    await store.commit(unit_of(call("a")))
    await store.get(Call, "a")
    with closing(sqlite3.connect(sqlite_database, timeout=0)) as other:
        (busy, in_wal, moved) = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert (busy, in_wal, moved) == (0, 0, 0)
    await store.close()


async def test_a_look_ends_after_a_read_that_took_too_long_as_well(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To end it takes steps of SQLite's machine too, which are counted over all times that it was ended."""
    reader = store._reader
    read = reader._read

    def read_for_long(text: str, values: Row) -> list[Any] | None:
        rows = read(text, values)
        reader._strides_left = -1
        return rows

    monkeypatch.setattr(reader, "_read", read_for_long)
    for _ in range(2_000):
        await store.get(Call, "a")
        assert not reader._quick.in_transaction


async def test_what_is_asked_in_one_turn_is_answered_at_one_look(store: SqliteStore) -> None:
    looks = []
    store._reader._quick.set_trace_callback(lambda told: looks.append(told) if told in ("BEGIN", "COMMIT") else None)
    await store.commit(unit_of(call("a"), call("b")))
    asked = await asyncio.gather(store.get(Call, "a"), store.get(Call, "b"), store.count(Query(Call)))
    assert [asked[0] and asked[0].id, asked[1] and asked[1].id, asked[2]] == ["a", "b", 2]
    assert looks == ["BEGIN", "COMMIT"]


async def test_a_read_that_is_wrong_or_given_up_hurts_none_that_was_asked_beside_it(store: SqliteStore) -> None:
    await store.commit(unit_of(call("a")))
    given_up = asyncio.create_task(store.get(Call, "a"))
    too_large = asyncio.create_task(store.find(Query(Call).where("created_ms", "=", 2**64)))
    no_text = store._reader.soon("SELECT ?", ("\ud800",))
    strange = store._reader.soon("SELECT CAST(x'7b78ff7d' AS TEXT)", ())
    right = asyncio.create_task(store.get(Call, "a"))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(Malformed):
        await too_large
    with pytest.raises(UnicodeEncodeError):
        await no_text
    with pytest.raises(StoreDamaged, match="holds a text that is none"):
        await strange
    assert await right
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_stores_may_be_used_from_several_event_loops(store: SqliteStore) -> None:
    def elsewhere(n: int) -> None:
        asyncio.run(store.commit(unit_of(call(f"{n}"))))
        assert asyncio.run(store.get(Call, f"{n}"))

    await asyncio.gather(*(asyncio.to_thread(elsewhere, n) for n in range(8)))
    assert await store.count(Query(Call)) == 8


async def test_a_caller_that_gives_up_waiting_disturbs_none(store: SqliteStore) -> None:
    impatient = [asyncio.create_task(store.commit(unit_of(call(f"gone-{n}")))) for n in range(20)]
    await asyncio.sleep(0)
    for task in impatient:
        task.cancel()
    await store.commit(unit_of(call("stays")))
    assert await store.get(Call, "stays")


async def test_a_unit_that_makes_no_sense_is_the_callers_error_and_the_writer_lives_on(store: SqliteStore) -> None:
    for wrong in (call("a", updated_ms={}), call("b", participants=3), call("c", created_ms=2**70)):
        with pytest.raises(Exception, match=r"\w"):
            await store.commit(unit_of(wrong))
    await store.commit(unit_of(call("d")))
    assert [c.id for c in await store.find(Query(Call))] == ["d"]


async def test_what_was_asked_for_is_committed_before_it_closes(sqlite_database: Path) -> None:
    store = SqliteStore(sqlite_database)
    commits = [asyncio.create_task(store.commit(unit_of(call(f"{n}")))) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*commits)
    again = SqliteStore(sqlite_database)
    assert await again.count(Query(Call)) == 50
    await again.close()


async def test_a_closed_store_says_so(sqlite_database: Path) -> None:
    store = SqliteStore(sqlite_database)
    await store.close()
    await store.close()
    for request in (store.get(Call, "a"), store.find(Query(Call)), store.commit(Unit()), store.check()):
        with pytest.raises(StoreUnavailable, match="closed"):
            await request


async def test_check_returns_when_all_is_well(store: SqliteStore) -> None:
    await store.check()


async def test_a_database_without_a_schema_is_the_operators_to_migrate(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    store = SqliteStore(tmp_path / "empty.db")
    with pytest.raises(Misconfigured, match="callvault migrate"):
        await store.check()
    with pytest.raises(StoreUnavailable):
        await store.get(Workspace, "w")
    await store.close()


async def test_a_database_newer_than_the_program_is_refused(store: SqliteStore, sqlite_database: Path) -> None:
    newer = sqlite3.connect(sqlite_database)
    newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.commit()
    with pytest.raises(StoreTooNew, match="9999"):
        await store.check()
    with pytest.raises(StoreTooNew, match="9999"):
        migrate(f"sqlite:///{sqlite_database}")


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        SqliteStore(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        migrate(f"sqlite:///{tmp_path}/no-folder/vault.db")


def test_a_file_that_is_no_database_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "vault.db").write_bytes(b"something else " * 1000)
    with pytest.raises(StoreDamaged, match="no SQLite database"):
        SqliteStore(tmp_path / "vault.db")
    with pytest.raises(StoreDamaged, match="no SQLite database"):
        migrate(f"sqlite:///{tmp_path}/vault.db")


async def test_a_damaged_file_is_told_of(sqlite_database: Path) -> None:
    store = SqliteStore(sqlite_database)
    await store.commit(unit_of(*(call(f"{n:03}", name="x" * 1000) for n in range(200))))
    await store.close()
    tables = sqlite3.connect(sqlite_database).execute("SELECT rootpage FROM sqlite_master WHERE name = 'calls'")
    with sqlite_database.open("r+b") as file:
        file.seek((tables.fetchone()[0] - 1) * 4096)
        file.write(os.urandom(4096))
    damaged = SqliteStore(sqlite_database)
    with pytest.raises(StoreDamaged, match="restore it from a backup"):
        await damaged.find(Query(Call))
    with pytest.raises(StoreDamaged, match="restore it from a backup"):
        await damaged.commit(unit_of(call("new")))
    await damaged.close()


async def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/vault.db")
    store = SqliteStore(tmp_path / "vault.db")
    await store.commit(unit_of(call("a")))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    await store.close()


async def test_a_commit_is_on_the_disk_before_it_is_acknowledged(store: SqliteStore, sqlite_database: Path) -> None:
    """Its frame is whole in the log: whoever opens copies of the files has it."""
    await store.commit(unit_of(call("a")))
    copy = sqlite_database.with_name("copy.db")
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(Path(f"{sqlite_database}{suffix}").read_bytes())
    assert sqlite3.connect(copy).execute("SELECT id FROM calls").fetchall() == [("a",)]
