"""The chain, what waits for it, and its proof."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import FakeClock

from callvault.adapters.store.memory import MemoryStore
from callvault.adapters.store.sqlite import SqliteStore
from callvault.domain.access import Action, Caller, Principal
from callvault.domain.audit import STRETCH, ChainedEntry, digest, thing_key
from callvault.domain.errors import StoreUnavailable
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.services.audit import AT_A_LOOK, Audit, AuditTrail

CALLER = Caller(Principal("k", "w", "ann", frozenset()), "198.51.100.7", "r1")


class Flaky(MemoryStore):
    """Does not answer while it is told not to."""

    away = False
    commits = 0

    async def commit(self, unit: Unit) -> None:
        if self.away:
            raise StoreUnavailable(why="it is away")
        self.commits += 1
        await super().commit(unit)


TOLD = ("at_ms", "actor", "action", "outcome", "member", "address", "request_id", "detail")


class House:
    def __init__(self) -> None:
        self.store, self.clock = Flaky(), FakeClock()
        self.audit = Audit(self.store, self.clock, most_waiting=100)
        self.trail = AuditTrail(self.store, self.audit)

    def read(self, count: int, workspace_id: str = "w", **detail: Any) -> None:
        for n in range(count):
            entry = self.audit.entry(CALLER, Action.LISTEN, workspace_id, f"recording:{n}", "done", **detail)
            self.audit.later(entry)

    async def entries(self, workspace_id: str = "w") -> list[ChainedEntry]:
        query = Query(ChainedEntry).where("workspace_id", "=", workspace_id).by("seq")
        return list(await self.store.find(query))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    yield House()


def test_an_entry_says_who_did_what_to_what_and_from_where() -> None:
    entry = House().audit.entry(CALLER, Action.LISTEN, "w", "recording:7", "done", bytes="0-99")
    assert (entry.actor, entry.member, entry.address, entry.request_id) == ("key:k", "ann", "198.51.100.7", "r1")
    assert (entry.action, entry.thing, entry.outcome) == ("recordings.listen", "recording:7", "done")
    assert entry.detail == {"bytes": "0-99"}
    assert entry.at_ms == FakeClock().now_ms()


def test_no_name_of_a_thing_can_hold_up_what_waits_behind_it(house: House) -> None:
    assert house.audit.entry(CALLER, Action.LISTEN, "w", "workspace:a\0b").thing == "workspace:ab"


async def test_reads_are_written_together_in_their_order(house: House) -> None:
    house.read(5)
    assert await house.entries() == []
    await house.audit.flush()
    assert house.store.commits == 1
    assert [entry.thing for entry in await house.entries()] == [f"recording:{n}" for n in range(5)]


async def test_nothing_is_lost_while_the_database_is_away(house: House) -> None:
    house.read(3)
    house.store.away = True
    with pytest.raises(StoreUnavailable):
        await house.audit.flush()
    assert house.audit.waiting == 3
    house.store.away = False
    house.read(1)
    await house.audit.flush()
    assert [entry.seq for entry in await house.entries()] == [1, 2, 3, 4]


async def test_when_too_many_wait_what_must_be_audited_is_refused(house: House) -> None:
    house.read(100)
    with pytest.raises(StoreUnavailable, match="nothing is done unaudited"):
        house.read(1)
    assert house.audit.waiting == 100


async def test_at_a_clean_stop_none_waits_any_more(house: House) -> None:
    running = asyncio.create_task(house.audit.run())
    await asyncio.sleep(0)
    house.read(4)
    house.audit.stop()
    await running
    assert len(await house.entries()) == 4


async def test_the_flusher_outlives_a_database_that_is_away(house: House) -> None:
    house.store.away = True
    house.read(2)
    house.audit.stop()
    await house.audit.run()
    assert house.audit.waiting == 2


async def test_a_whole_chain_is_proved_over_many_pages(house: House) -> None:
    for _ in range(25):
        house.read(100)
        await house.audit.flush()
    report = await house.trail.verify("w")
    assert (report.entries, report.broken_seq) == (2500, None)
    assert report.head == (await house.entries())[-1].digest


async def test_what_waits_is_proved_too(house: House) -> None:
    house.read(3)
    assert (await house.trail.verify("w")).entries == 3


@pytest.mark.parametrize(
    "change",
    [
        {"told": '["i", 1, "key:other", "try", "done", null, null, null, {}]'},
        {"thing": "recording:other"},
        {"digest": "f" * 64},
    ],
)
async def test_the_first_entry_that_was_changed_is_named(house: House, change: dict[str, Any]) -> None:
    house.read(10)
    await house.audit.flush()
    unit = Unit()
    unit.put(replace((await house.entries())[4], **change))
    await house.store.commit(unit)
    report = await house.trail.verify("w")
    assert (report.entries, report.broken_seq) == (4, 5)
    assert "does not have its digest" in report.why


async def test_an_entry_that_was_changed_with_its_digest_breaks_the_chain_behind_it(house: House) -> None:
    house.read(10)
    await house.audit.flush()
    *_, before, forged = (await house.entries())[:5]
    forged = replace(forged, thing="recording:other", thing_key=thing_key("w", forged.seq, "recording:other"))
    unit = Unit()
    unit.put(replace(forged, digest=digest(forged, before.digest)))
    await house.store.commit(unit)
    assert (await house.trail.verify("w")).broken_seq == 6


async def test_an_entry_that_is_hidden_from_its_thing_s_list_is_named(house: House) -> None:
    house.read(3)
    await house.audit.flush()
    entry = (await house.entries())[1]
    unit = Unit()
    unit.put(replace(entry, thing_key=entry.thing_key + 1))
    await house.store.commit(unit)
    report = await house.trail.verify("w")
    assert (report.broken_seq, report.why) == (2, "it is not found among those about its thing")


async def test_the_entries_about_a_thing_are_found_wherever_in_the_chain_they_stand(sqlite_database: Path) -> None:
    store = SqliteStore(sqlite_database)
    trail = AuditTrail(store, Audit(store, FakeClock()))
    assert await trail.page("w", thing="key:k") == []
    theirs = [1, 2, (1 << STRETCH) - 1, 1 << STRETCH, AT_A_LOOK, AT_A_LOOK + 1, 2 * AT_A_LOOK, 5 * AT_A_LOOK + 7]
    unit = Unit()
    for seq in theirs:
        unit.add(in_place("w", seq, "key:k"), in_place("w", seq + 2 * AT_A_LOOK + 9, "key:other"))
        unit.add(in_place("another", seq, "key:k"))
    await store.commit(unit)
    assert [entry.seq for entry in await trail.page("w", thing="key:k")] == theirs
    pages, after = [], 0
    while page := [entry.seq for entry in await trail.page("w", after, 3, "key:k")]:
        pages.append(page)
        after = page[-1]
    assert pages == [theirs[:3], theirs[3:6], theirs[6:]]
    await store.close()


def in_place(workspace_id: str, seq: int, thing: str) -> ChainedEntry:
    return ChainedEntry(workspace_id, seq, thing, "[]", "", thing_key(workspace_id, seq, thing))


async def test_an_entry_that_was_taken_out_is_missed(house: House) -> None:
    house.read(10)
    await house.audit.flush()
    unit = Unit()
    unit.remove((await house.entries())[4])
    await house.store.commit(unit)
    report = await house.trail.verify("w")
    assert (report.broken_seq, report.why) == (5, "entry 5 is missing")


async def test_a_cut_off_end_is_seen_by_those_who_kept_a_head(house: House) -> None:
    house.read(10)
    before = await house.trail.verify("w")
    unit = Unit()
    unit.remove(*(await house.entries())[7:])
    await house.store.commit(unit)
    assert (await house.trail.verify("w")).broken_seq is None
    report = await house.trail.verify("w", (before.entries, before.head))
    assert (report.broken_seq, report.why) == (8, "the chain ends before the entry kept elsewhere")


async def test_a_chain_made_anew_is_seen_by_those_who_kept_a_head(house: House) -> None:
    house.read(10)
    report = await house.trail.verify("w", (5, "0" * 64))
    assert report.broken_seq == 5


async def test_a_clock_that_jumps_breaks_no_chain(house: House) -> None:
    for seconds in (3600, -7200, 86_400):
        house.read(2)
        await house.audit.flush()
        house.clock.advance(seconds)
    report = await house.trail.verify("w")
    assert (report.entries, report.broken_seq) == (6, None)
    assert [entry.seq for entry in await house.trail.page("w")] == [1, 2, 3, 4, 5, 6]


async def test_each_workspace_has_a_chain_of_its_own(house: House) -> None:
    house.read(2, "w")
    house.read(3, "x")
    assert ((await house.trail.verify("w")).entries, (await house.trail.verify("x")).entries) == (2, 3)
    assert (await house.trail.verify("nobody")).entries == 0


async def test_the_export_is_a_line_an_entry_from_which_digests_can_be_made_again(house: House) -> None:
    house.read(3, note="é\n")
    lines = [json.loads(line) async for line in house.trail.export("w")]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    for line in lines:
        place = [line["previous"], line["workspace_id"], line["seq"], line["thing"]]
        told = [line[name] for name in TOLD]
        text = "".join(json.dumps(part, sort_keys=True, separators=(",", ":")) for part in (place, told))
        assert hashlib.sha256(text.encode()).hexdigest() == line["digest"]


async def test_pages_go_on_behind_the_last_entry_and_can_be_of_one_thing(house: House) -> None:
    house.read(5)
    await house.audit.flush()
    assert [entry.seq for entry in await house.trail.page("w", after_seq=3)] == [4, 5]
    assert [entry.seq for entry in await house.trail.page("w", thing="recording:2")] == [3]
