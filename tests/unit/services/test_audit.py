"""The chain, what waits for it, and its proof."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from tests.audits import blocks, chained_entries
from tests.fakes import FakeClock

from callvault.adapters.store.memory import MemoryStore
from callvault.adapters.store.sqlite import SqliteStore
from callvault.domain.access import Action, Caller, Principal
from callvault.domain.audit import BLOCK, GENESIS, STRETCH, AuditBlock, AuditMention, ChainedEntry, digest, thing_keys
from callvault.domain.errors import StoreUnavailable
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


TOLD = ("thing", "at_ms", "actor", "action", "outcome", "member", "address", "request_id", "detail")


class House:
    def __init__(self) -> None:
        self.store, self.clock = Flaky(), FakeClock()
        self.audit = Audit(self.store, self.clock, most_waiting=100)
        self.trail = AuditTrail(self.store, self.audit)

    def read(self, count: int, workspace_id: str = "w", **detail: Any) -> None:
        for n in range(count):
            entry = self.audit.entry(CALLER, Action.LISTEN, workspace_id, f"recording:{n}", "done", **detail)
            self.audit.later(entry)

    async def entries(self) -> list[ChainedEntry]:
        return await chained_entries(self.store)

    async def blocks(self, *sizes: int) -> list[AuditBlock]:
        """As many, of so many entries."""
        for size in sizes:
            self.read(size)
            await self.audit.flush()
        return list(await blocks(self.store))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    yield House()


def test_an_entry_says_who_did_what_to_what_and_from_where() -> None:
    entry = House().audit.entry(CALLER, Action.LISTEN, "w", "recording:7", "done", bytes="0-99")
    assert (entry.actor, entry.member, entry.address, entry.request_id) == ("key:k", "ann", "198.51.100.7", "r1")
    assert (entry.action, entry.thing, entry.outcome) == ("recordings.listen", "recording:7", "done")
    assert entry.detail == {"bytes": "0-99"}
    assert entry.at_ms == FakeClock().now_ms()


async def test_reads_are_written_together_in_their_order(house: House) -> None:
    house.read(5)
    assert await house.entries() == []
    await house.audit.flush()
    assert house.store.commits == 1
    assert [link.entry.thing for link in await house.entries()] == [f"recording:{n}" for n in range(5)]


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
    assert report.head == (await house.blocks())[-1].digest


async def test_what_waits_is_proved_too(house: House) -> None:
    house.read(3)
    assert (await house.trail.verify("w")).entries == 3


OTHER = '[["recording:other",1,"key:k","recordings.listen","done",null,null,null,{}]]'


@pytest.mark.parametrize("change", [{"told": OTHER}, {"first": 4}, {"digest": "f" * 64}])
async def test_the_first_entry_of_the_block_that_was_changed_is_named(house: House, change: dict[str, Any]) -> None:
    block = (await house.blocks(2, 2, 2, 2))[2]
    unit = Unit()
    unit.put(replace(block, **change))
    await house.store.commit(unit)
    report = await house.trail.verify("w")
    assert (report.entries, report.broken_seq) == (4, 5)
    assert report.why == "what is told up to entry 6, behind the entry before, does not have its digest"


async def test_a_block_that_was_changed_with_its_digest_breaks_the_chain_behind_it(house: House) -> None:
    before, block, _ = await house.blocks(1, 1, 1)
    forged = replace(block, told=OTHER)
    unit = Unit()
    unit.put(replace(forged, digest=digest(forged, before.digest)))
    unit.add(*(AuditMention(key, 2) for key in thing_keys("w", 2, ["recording:other"])))
    await house.store.commit(unit)
    assert (await house.trail.verify("w")).broken_seq == 3


async def test_an_entry_that_is_hidden_from_its_thing_s_list_is_named(house: House) -> None:
    await house.blocks(1, 3)
    unit = Unit()
    unit.remove(*(AuditMention(key, 4) for key in thing_keys("w", 4, ["recording:1"])))
    await house.store.commit(unit)
    report = await house.trail.verify("w")
    assert (report.broken_seq, report.why) == (2, "not all up to entry 4 are found among those about their things")


async def test_a_block_with_more_or_fewer_entries_than_numbers_is_named(house: House) -> None:
    last = (await house.blocks(1, 3))[-1]
    unit = Unit()
    unit.remove(last)
    unit.add(replace(last, seq=5))
    await house.store.commit(unit)
    report = await house.trail.verify("w")
    assert (report.broken_seq, report.why) == (2, "not as many are told as there must be up to entry 5")


async def test_a_block_that_counts_from_another_number_is_named(house: House) -> None:
    before, last = await house.blocks(2, 3)
    forged = replace(last, first=2)
    unit = Unit()
    unit.put(replace(forged, digest=digest(forged, before.digest)))
    await house.store.commit(unit)
    report = await house.trail.verify("w")
    assert (report.broken_seq, report.why) == (3, "not as many are told as there must be up to entry 5")


async def test_the_entries_about_a_thing_are_found_wherever_in_the_chain_they_stand(sqlite_database: Path) -> None:
    store = SqliteStore(sqlite_database)
    trail = AuditTrail(store, Audit(store, FakeClock()))
    assert await trail.page("w", thing="key:k") == []
    ends = [2, (1 << STRETCH) - 1, 1 << STRETCH, AT_A_LOOK, AT_A_LOOK + 2, 2 * AT_A_LOOK, 5 * AT_A_LOOK + 7]
    theirs = [end - 1 for end in ends[:-1]] + [ends[-1]]
    unit = Unit()
    for end, seq in zip(ends, theirs, strict=True):
        unit.add(*block_of("w", end, seq, "key:k"), *block_of("w", end + 2 * AT_A_LOOK + 9, 0, "key:k"))
        unit.add(*block_of("another", end, seq, "key:k"))
    await store.commit(unit)
    assert [link.seq for link in await trail.page("w", thing="key:k")] == theirs
    pages, after = [], 0
    while page := [entry.seq for entry in await trail.page("w", after, 3, "key:k")]:
        pages.append(page)
        after = page[-1]
    assert pages == [theirs[:3], theirs[3:6], theirs[6:]]
    await store.close()


def block_of(workspace_id: str, end: int, seq: int, thing: str) -> tuple[AuditBlock, AuditMention]:
    """Two entries, of which the one with the number is about the thing; its mention."""
    told = [[thing if n == seq else "key:other", 1, "system", "try"] for n in (end - 1, end)]
    [key] = thing_keys(workspace_id, end, [thing])
    return AuditBlock(workspace_id, end, end - 1, json.dumps(told), ""), AuditMention(key, end)


async def test_a_block_that_was_taken_out_is_missed(house: House) -> None:
    unit = Unit()
    unit.remove((await house.blocks(4, 2, 4))[1])
    await house.store.commit(unit)
    report = await house.trail.verify("w")
    assert (report.broken_seq, report.why) == (5, "entry 5 is missing")


async def test_a_cut_off_end_is_seen_by_those_who_kept_a_head(house: House) -> None:
    last = (await house.blocks(7, 3))[-1]
    unit = Unit()
    unit.remove(last)
    await house.store.commit(unit)
    assert (await house.trail.verify("w")).broken_seq is None
    report = await house.trail.verify("w", (last.seq, last.digest))
    assert (report.broken_seq, report.why) == (8, "the chain ends before the entry kept elsewhere")


@pytest.mark.parametrize(
    ("seq", "why"),
    [
        (5, "entry 5 does not end the block whose digest was kept elsewhere"),
        (4, "no block ends with entry 4, as one did when its digest was kept elsewhere"),
    ],
)
async def test_a_chain_made_anew_is_seen_by_those_who_kept_a_head(house: House, seq: int, why: str) -> None:
    kept = (await house.blocks(2, 3, 5))[1]
    assert (await house.trail.verify("w", (kept.seq, kept.digest))).broken_seq is None
    report = await house.trail.verify("w", (seq, "0" * 64))
    assert (report.broken_seq, report.why) == (3, why)


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
    house.read(2, note="é\n")
    await house.blocks(2, 1)
    lines = [json.loads(line) async for line in house.trail.export("w")]
    assert [(line["seq"], line["block"]) for line in lines] == [(1, 4), (2, 4), (3, 4), (4, 4), (5, 5)]
    previous = GENESIS
    for end, group in groupby(lines, lambda line: line["block"]):
        block = list(group)
        place = [previous, block[0]["workspace_id"], block[0]["seq"]]
        told = [[line[name] for name in TOLD] for line in block]
        text = "".join(json.dumps(part, sort_keys=True, separators=(",", ":")) for part in (place, told))
        assert {line["previous"] for line in block} == {previous}
        previous = hashlib.sha256(text.encode()).hexdigest()
        assert [(line["seq"], line["digest"]) for line in block][-1] == (end, previous)


async def test_a_page_begins_and_ends_anywhere_within_blocks(house: House) -> None:
    house.audit = Audit(house.store, house.clock)
    await house.blocks(3 * BLOCK, *[1] * 20)
    for after, limit in [(0, 2), (BLOCK - 1, 2), (BLOCK, BLOCK + 1), (3 * BLOCK - 1, 12), (3 * BLOCK + 18, 5)]:
        page = [link.seq for link in await house.trail.page("w", after, limit)]
        assert page == list(range(after + 1, min(after + limit, 3 * BLOCK + 20) + 1))


async def test_pages_go_on_behind_the_last_entry_and_can_be_of_one_thing(house: House) -> None:
    house.read(5)
    await house.audit.flush()
    assert [entry.seq for entry in await house.trail.page("w", after_seq=3)] == [4, 5]
    assert [entry.seq for entry in await house.trail.page("w", thing="recording:2")] == [3]
