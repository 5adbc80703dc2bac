"""What every store promises: `ports/store.py` and `domain/unit.py`, over memory, SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from callvault.adapters.store.kinds import KINDS, Kind
from callvault.adapters.store.memory import MemoryStore
from callvault.adapters.store.postgres import PostgresStore
from callvault.adapters.store.sqlite import SqliteStore
from callvault.domain.audit import BLOCK, GENESIS, AuditBlock, AuditEntry, AuditMention, digest, thing_keys
from callvault.domain.call import Call, Participant
from callvault.domain.errors import AlreadyThere, Fault, Malformed, Missing, StaleWrite
from callvault.domain.event import Event
from callvault.domain.job import Job
from callvault.domain.lane import Anchor, Lane, Passage, Segment
from callvault.domain.query import GIVEN, Query
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.domain.workspace import Member, Workspace
from callvault.ports.store import Store
from tests.specimens import specimen

STORES = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    opened: Store
    match request.param:
        case "memory":
            opened = MemoryStore()
        case "sqlite":
            opened = SqliteStore(request.getfixturevalue("sqlite_database"))
        case _:
            opened = PostgresStore(request.getfixturevalue("postgres_database"))
    yield opened
    await opened.close()


def unit_of(*entities: object) -> Unit:
    unit = Unit()
    unit.add(*entities)
    return unit


def changing(*entities: object) -> Unit:
    unit = Unit()
    unit.change(*entities)
    return unit


def workspace(n: int = 1, **given: Any) -> Workspace:
    return Workspace(**{"id": f"w{n}", "name": f"name {n}", "created_ms": n} | given)


def call(n: int, **given: Any) -> Call:
    facts = {"id": f"c{n:03}", "workspace_id": "w", "public_id": f"call_{n}", "created_ms": n, "updated_ms": n}
    return Call(**facts | given)


def recording(n: int, **given: Any) -> Recording:
    facts = {
        "id": f"r{n:03}",
        "workspace_id": "w",
        "call_id": "c",
        "created_ms": n,
        "updated_ms": n,
        "last_heard_ms": n,
    }
    return Recording(**facts | given)


def event(name: str, **given: Any) -> Event:
    return Event(**{"id": name, "workspace_id": "w", "type": "recording.created", "created_ms": 1} | given)


def entry(name: str, workspace_id: str = "w") -> AuditEntry:
    return AuditEntry(workspace_id, f"thing:{name}", at_ms=1, actor="system", action="try")


def job(name: str, **given: Any) -> Job:
    return Job(**{"id": name, "workspace_id": "w", "kind": "transcribe", "created_ms": 1} | given)


async def ids(store: Store, query: Query[Any]) -> list[str]:
    return [entity.id for entity in await store.find(query)]


# -- entities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.table)
async def test_an_entity_comes_back_as_it_was_added_with_a_value_in_every_field(store: Store, kind: Kind) -> None:
    entity = specimen(kind.entity)
    await store.commit(unit_of(entity))
    assert await store.get(kind.entity, *(getattr(entity, name) for name in kind.key)) == entity
    assert list(await store.find(Query(kind.entity))) == [entity]


async def test_an_entity_comes_back_with_its_defaults(store: Store) -> None:
    await store.commit(unit_of(workspace()))
    assert await store.get(Workspace, "w1") == workspace()


async def test_what_is_not_there_is_none(store: Store) -> None:
    assert await store.get(Workspace, "w1") is None
    assert await store.get(Member, "w1", "m1") is None


async def test_a_key_of_several_fields_finds_its_own_entity(store: Store) -> None:
    members = [Member(workspace_id=w, id=m, created_ms=1) for w in ("a", "b") for m in ("1", "2")]
    await store.commit(unit_of(*members))
    assert await store.get(Member, "b", "1") == members[2]


async def test_what_was_committed_does_not_change_with_the_callers_dictionary(store: Store) -> None:
    metadata = {"list": [1]}
    await store.commit(unit_of(call(1, metadata=metadata)))
    metadata["list"].append(2)
    found = await store.get(Call, "c001")
    assert found and found.metadata == {"list": [1]}


async def test_nested_values_keep_their_classes(store: Store) -> None:
    lane = Lane(recording_id="r", name="a", workspace_id="w", rate=8000, anchors=(Anchor(sample=1, clock_us=2),))
    someone = Participant(id="p", name="Ünal", role="customer", number=None)
    await store.commit(unit_of(lane, call(1, participants=(someone,), readers=("p",))))
    found = await store.get(Call, "c001")
    assert await store.get(Lane, "r", "a") == lane
    assert found and found.participants == (someone,) and found.readers == ("p",)


async def test_bytes_and_large_numbers_are_kept_exactly(store: Store) -> None:
    facts = {"recording_id": "r", "lane": "a", "seq": 0, "workspace_id": "w", "object_key": "k"}
    segment = Segment(
        **facts, first_sample=-(2**63), end_sample=2**63 - 1, runs=bytes(range(256)), takes=b"", peaks_offset=2**53 + 1
    )
    await store.commit(unit_of(segment))
    assert await store.get(Segment, "r", "a", 0) == segment


async def test_a_part_is_read_without_the_rest(store: Store) -> None:
    facts = {"recording_id": "r", "lane": "a", "seq": 0, "workspace_id": "w", "object_key": "k"}
    sound = {"first_sample": 0, "end_sample": 8, "runs": b"runs", "peaks_offset": 16}
    await store.commit(unit_of(Segment(**facts, **sound, takes=b"takes")))
    assert await store.find(Query(Passage).where("recording_id", "=", "r")) == [Passage(**facts, **sound)]


@pytest.mark.parametrize("name", ["a\0b", "half a pair: \ud83d"])
async def test_text_that_no_database_holds_is_malformed(store: Store, name: str) -> None:
    with pytest.raises(Malformed):
        await store.commit(unit_of(workspace(name=name)))
    with pytest.raises(Malformed):
        await store.find(Query(Workspace).where("name", "contains", name))


@pytest.mark.parametrize("name", ["a\0b", "half a pair: \ud83d"])
async def test_text_within_json_is_held_to_the_same(store: Store, name: str) -> None:
    for facts in ({"metadata": {"x": [name]}}, {"metadata": {name: 1}}, {"readers": (name,)}):
        with pytest.raises(Malformed):
            await store.commit(unit_of(call(1, **facts)))
    told = call(1, metadata={"x": "no NUL: \\u0000"}, readers=("\\u0000",))
    await store.commit(unit_of(told))
    assert (await store.get(Call, told.id) or told).metadata == told.metadata


async def test_numbers_that_are_none_are_malformed(store: Store) -> None:
    with pytest.raises(Malformed):
        await store.commit(unit_of(call(1, metadata={"x": float("nan")})))


# -- units --------------------------------------------------------------------------------------


async def test_a_unit_is_done_in_the_order_in_which_it_was_written(store: Store) -> None:
    unit = unit_of(workspace(1))
    unit.change(workspace(1, name="second", version=2))
    unit.remove(workspace(1))
    unit.add(workspace(1, name="third"))
    await store.commit(unit)
    assert await store.get(Workspace, "w1") == workspace(1, name="third")


async def test_adding_what_is_there_is_refused(store: Store) -> None:
    await store.commit(unit_of(workspace()))
    with pytest.raises(AlreadyThere, match="workspace"):
        await store.commit(unit_of(workspace(name="other")))
    assert await store.get(Workspace, "w1") == workspace()


async def test_a_value_that_must_be_unique_is(store: Store) -> None:
    await store.commit(unit_of(call(1), call(2)))
    with pytest.raises(AlreadyThere, match="call"):
        await store.commit(unit_of(call(3, public_id="call_1")))
    with pytest.raises(AlreadyThere):
        await store.commit(changing(call(2, public_id="call_1", chat_id=2, version=2)))
    put = Unit()
    put.put(call(4, public_id="call_1"))
    with pytest.raises(AlreadyThere):
        await store.commit(put)


async def test_a_unique_value_is_free_again_when_its_holder_has_gone(store: Store) -> None:
    await store.commit(unit_of(call(1)))
    unit = Unit()
    unit.remove(call(1))
    unit.add(call(2, public_id="call_1"))
    await store.commit(unit)
    assert await ids(store, Query(Call)) == ["c002"]


async def test_a_change_must_be_one_version_above_the_stored_one(store: Store) -> None:
    await store.commit(unit_of(workspace()))
    await store.commit(changing(workspace(name="new", version=2)))
    for name, version in (("lost", 1), ("lost", 2), ("new", 2), ("lost", 4)):
        with pytest.raises(StaleWrite, match="workspace"):
            await store.commit(changing(workspace(name=name, version=version)))
    assert await store.get(Workspace, "w1") == workspace(name="new", version=2)


async def test_changing_what_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(StaleWrite):
        await store.commit(changing(workspace(version=2)))
    with pytest.raises(Missing, match="member"):
        await store.commit(changing(Member(workspace_id="w", id="m", created_ms=1)))


async def test_what_has_no_version_is_changed_as_it_stands(store: Store) -> None:
    await store.commit(unit_of(Member(workspace_id="w", id="m", created_ms=1)))
    await store.commit(changing(Member(workspace_id="w", id="m", created_ms=1, name="Ada")))
    found = await store.get(Member, "w", "m")
    assert found and found.name == "Ada"


async def test_put_adds_or_replaces_whatever_the_version(store: Store) -> None:
    for given in (workspace(name="a", version=7), workspace(name="b", version=2)):
        unit = Unit()
        unit.put(given)
        await store.commit(unit)
        assert await store.get(Workspace, "w1") == given


async def test_remove_takes_away_and_does_not_mind_what_is_gone(store: Store) -> None:
    await store.commit(unit_of(workspace(1), workspace(2)))
    unit = Unit()
    unit.remove(workspace(1), workspace(3))
    await store.commit(unit)
    assert await ids(store, Query(Workspace)) == ["w2"]


async def test_bump_adds_where_it_stands_and_leaves_the_rest(store: Store) -> None:
    await store.commit(unit_of(recording(1)))
    await store.commit(changing(recording(1, version=2, quality="new")))
    unit = Unit()
    unit.bump(recording(1), download_count=3, link_epoch=1)
    unit.bump(recording(1), download_count=-1)
    unit.bump(recording(2), download_count=1)
    await store.commit(unit)
    expected = recording(1, version=2, quality="new", download_count=2, link_epoch=1)
    assert list(await store.find(Query(Recording))) == [expected]


async def test_a_unit_that_fails_at_its_end_leaves_nothing_of_itself(store: Store) -> None:
    await store.commit(unit_of(workspace(1)))
    first = Unit()
    first.tell(event("e1"))
    first.enqueue(job("j1"))
    await store.commit(first)
    for spoil in (lambda u: u.tell(event("e1")), lambda u: u.enqueue(job("j1")), lambda u: u.change(workspace(1))):
        unit = unit_of(workspace(2), call(1), recording(1, tags=("a",)))
        unit.remove(workspace(1))
        unit.tell(event("e2"))
        unit.note(entry("a1"))
        unit.enqueue(job("j2"))
        spoil(unit)
        with pytest.raises(Fault):
            await store.commit(unit)
    assert await ids(store, Query(Workspace)) == ["w1"]
    assert await ids(store, Query(Event)) == ["e1"]
    assert await ids(store, Query(Job)) == ["j1"]
    assert [await store.count(Query(kind)) for kind in (Call, Recording, AuditBlock, AuditMention)] == [0] * 4
    assert await store.count(Query(Recording).where("tags", "has", "a")) == 0


async def test_an_empty_unit_is_no_harm(store: Store) -> None:
    await store.commit(Unit())


# -- what the store counts ----------------------------------------------------------------------


async def test_calls_are_counted_within_their_workspace(store: Store) -> None:
    await store.commit(unit_of(call(1), call(2), call(3, workspace_id="v")))
    await store.commit(unit_of(call(4)))
    assert [(c.workspace_id, c.chat_id) for c in await store.find(Query(Call).by("id"))] == [
        ("w", 1),
        ("w", 2),
        ("v", 1),
        ("w", 3),
    ]


async def test_a_recording_added_with_its_call_has_the_calls_chat_id(store: Store) -> None:
    await store.commit(unit_of(call(1), recording(1, call_id="c001"), call(2), recording(2, call_id="c002")))
    await store.commit(unit_of(recording(3, call_id="c001", chat_id=1), call(4, workspace_id="v")))
    assert [r.chat_id for r in await store.find(Query(Recording).by("id"))] == [1, 2, 1]


async def test_a_chat_id_that_is_brought_along_is_kept_and_counted_from(store: Store) -> None:
    await store.commit(unit_of(call(1, chat_id=40)))
    await store.commit(unit_of(call(2)))
    await store.commit(unit_of(call(3, chat_id=7)))
    await store.commit(unit_of(call(4)))
    assert [c.chat_id for c in await store.find(Query(Call).by("id"))] == [40, 41, 7, 42]


async def test_a_chat_id_is_never_given_twice_even_when_its_call_is_gone(store: Store) -> None:
    await store.commit(unit_of(call(1), call(2)))
    unit = Unit()
    unit.remove(call(2))
    await store.commit(unit)
    await store.commit(unit_of(call(3)))
    found = await store.get(Call, "c003")
    assert found and found.chat_id == 3


async def test_events_get_rising_positions_in_the_order_of_telling(store: Store) -> None:
    for names in (["c", "a"], ["b"], ["e", "d"]):
        unit = Unit()
        unit.tell(*map(event, names))
        await store.commit(unit)
    events = await store.find(Query(Event).by("position"))
    assert [e.id for e in events] == ["c", "a", "b", "e", "d"]
    assert events[0].position > 0


async def test_audit_entries_are_chained_within_their_workspace(store: Store) -> None:
    for n in range(3):
        unit = Unit()
        unit.note(entry(f"a{n}"), entry(f"b{n}", "v"), entry(f"c{n}"))
        await store.commit(unit)
    assert await chain_of(store, "w") == ["a0", "c0", "a1", "c1", "a2", "c2"]
    assert await chain_of(store, "v") == ["b0", "b1", "b2"]


async def chain_of(store: Store, workspace_id: str) -> list[str]:
    """The ids of the workspace's entries, seen to be one unbroken chain."""
    blocks = await store.find(Query(AuditBlock).where("workspace_id", "=", workspace_id).by("seq"))
    previous = GENESIS
    for block in blocks:
        assert block.digest == digest(block, previous)
        previous = block.digest
    links = [link for block in blocks for link in block.entries()]
    assert [link.seq for link in links] == list(range(1, len(links) + 1))
    return [link.entry.thing.removeprefix("thing:") for link in links]


async def test_what_is_committed_together_is_a_block_and_mentions_each_thing_once(store: Store) -> None:
    for count in (1, BLOCK, BLOCK + 1):
        unit = Unit()
        unit.note(*(entry(str(n // 2)) for n in range(count)))
        await store.commit(unit)
    blocks = await store.find(Query(AuditBlock).by("seq"))
    places = [(1, 1), (2, BLOCK + 1), (BLOCK + 2, 2 * BLOCK + 1), (2 * BLOCK + 2, 2 * BLOCK + 2)]
    assert [(block.first, block.seq) for block in blocks] == places
    mentions = await store.find(Query(AuditMention).by("thing_key", "seq"))
    mentioned = {key for b in blocks for key in thing_keys("w", b.seq, (link.entry.thing for link in b.entries()))}
    assert {mention.thing_key for mention in mentions} == mentioned
    assert len(mentions) == 1 + 2 * BLOCK // 2 + 1


async def test_two_workspaces_may_have_a_mention_in_common(store: Store) -> None:
    unit = Unit()
    mention = AuditMention(*thing_keys("w", 1, ["thing:a"]), 1)
    unit.add(mention)
    await store.commit(unit)
    unit = Unit()
    unit.note(entry("a"), entry("b", "v"))
    await store.commit(unit)
    assert await chain_of(store, "w") == ["a"]
    assert mention in await store.find(Query(AuditMention).by("thing_key", "seq"))


@pytest.mark.parametrize("name", ["a\0b", "half \ud800", "“é”"])
async def test_an_audit_entry_is_kept_whatever_its_thing_is_called(store: Store, name: str) -> None:
    unit = Unit()
    unit.note(entry(name))
    await store.commit(unit)
    assert await chain_of(store, "w") == [name]


# -- queries ------------------------------------------------------------------------------------

PEOPLE = [
    call(1, name="Ada", status="ended", readers=("m1", "m2"), ended_ms=10, from_number="+1", to_number="+1"),
    call(2, name="ÉMILE 100%", status="failed", readers=(), ended_ms=20, from_number="+2", to_number="+1"),
    call(3, name=None, status="ended", readers=None, from_number="+1"),
    call(4, name="ada_b", status="queued", readers=("m2",), ended_ms=20, to_number="+2"),
]


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("status", "=", "ended", "13"),
        ("status", "!=", "ended", "24"),
        ("ended_ms", "=", 20, "24"),
        ("ended_ms", "!=", 20, "13"),
        ("ended_ms", "=", None, "3"),
        ("ended_ms", "!=", None, "124"),
        ("ended_ms", "<", 20, "1"),
        ("ended_ms", "<=", 20, "124"),
        ("ended_ms", ">", 10, "24"),
        ("ended_ms", ">=", 10, "124"),
        ("ended_ms", ">", None, ""),
        ("name", ">", "Ada", "24"),
        ("id", "in", ["c001", "c003", "nobody"], "13"),
        ("ended_ms", "in", (10, 20), "124"),
        ("id", "in", [], ""),
        ("id", "in", [f"c{n:03}" for n in range(2, 400)], "234"),
        ("name", "contains", "ADA", "14"),
        ("name", "contains", "émile", "2"),
        ("name", "contains", "MILE 1", "2"),
        ("name", "contains", "0%", "2"),
        ("name", "contains", "a_", "4"),
        ("name", "contains", "%", "2"),
        ("name", "contains", "", "124"),
        ("readers", "has", "m2", "14"),
        ("readers", "has", "m", ""),
        ("readers", "null or has", "m1", "13"),
        ("from_number|to_number", "=", "+1", "123"),
        ("from_number|to_number", "in", ["+1", "+2"], "1234"),
        ("from_number|to_number|name", "contains", "2", "24"),
        ("from_number|to_number", "is null", None, "34"),
        ("name", "is null", None, "3"),
        ("name", "is not null", None, "124"),
    ],
)
async def test_a_term_is_met_by(store: Store, field: str, operator: str, value: Any, expected: str) -> None:
    await store.commit(unit_of(*PEOPLE))
    query = Query(Call).where(field, operator, value).by("id")
    wanted = [f"c00{n}" for n in expected]
    assert await ids(store, query) == wanted
    assert await ids(store, query.page(100)) == wanted
    assert await store.count(query) == len(wanted)


async def test_a_query_finds_by_the_values_that_it_is_given(store: Store) -> None:
    await store.commit(unit_of(*PEOPLE))
    named = Query(Call).where("name", "=", GIVEN).where("deleted_ms", "is null").where("workspace_id", "=", GIVEN)
    for person in (PEOPLE[0], PEOPLE[1]):
        assert [found.id for found in await store.find(named.by("id"), person.name, "w")] == [person.id]
    assert await store.find(named.by("id"), PEOPLE[0].name, "other") == []


async def test_all_terms_must_be_met(store: Store) -> None:
    await store.commit(unit_of(*PEOPLE))
    query = Query(Call).where("status", "in", ["ended", "queued"]).where("name", "contains", "ada")
    assert await ids(store, query.where("ended_ms", ">", 10)) == ["c004"]
    assert await ids(store, query.where("id", "in", ["c001", "c002"]).by("id").page(5)) == ["c001"]


async def test_booleans_are_compared(store: Store) -> None:
    await store.commit(unit_of(recording(1), recording(2, in_progress=False)))
    assert await ids(store, Query(Recording).where("in_progress", "=", False)) == ["r002"]


async def test_labels_are_found_alone_and_together_and_follow_their_recording(store: Store) -> None:
    await store.commit(unit_of(recording(1, tags=("a", "b")), recording(2, tags=("b", "b")), recording(3)))
    tagged = Query(Recording).where("workspace_id", "=", "w").where("tags", "has", "b").by("-created_ms", "-id")
    assert await ids(store, tagged) == ["r002", "r001"]
    assert await ids(store, tagged.where("tags", "has", "a").page(9)) == ["r001"]
    await store.commit(changing(recording(2, tags=("c",), version=2)))
    unit = Unit()
    unit.put(recording(3, tags=("b", "é")))
    unit.remove(recording(1))
    await store.commit(unit)
    assert await ids(store, tagged) == ["r003"]
    assert await store.count(tagged) == 1
    await store.commit(changing(recording(3, tags=("b", "é"), status="failed", version=2)))
    assert await ids(store, tagged.where("status", "=", "failed").where("deleted_ms", "is null").page(1)) == ["r003"]
    await store.commit(changing(recording(3, tags=("b", "é"), status="failed", deleted_ms=1, version=3)))
    assert await ids(store, tagged.where("deleted_ms", "is null").page(1)) == []
    assert await ids(store, Query(Recording).where("tags", "has", "é")) == ["r003"]


ORDERS = [
    ("id",),
    ("-id",),
    ("created_ms", "id"),
    ("-created_ms", "-id"),
    ("-created_ms", "id"),
    ("created_ms", "-id"),
    ("ended_ms", "id"),
    ("-ended_ms", "-id"),
    ("-ended_ms", "status", "-name", "id"),
    ("name", "-ended_ms", "-id"),
]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
async def test_pages_put_together_are_the_whole_in_order(store: Store, order: tuple[str, ...]) -> None:
    calls = [
        call(
            n,
            created_ms=n // 4,
            ended_ms=[None, 5, 6][n % 3],
            status=["ended", "failed"][n % 2],
            name=None if n % 5 == 0 else f"name {n // 3}",
        )
        for n in range(30)
    ]
    await store.commit(unit_of(*calls))
    whole = [c.id for c in ordered(calls, order)]
    assert await ids(store, Query(Call).by(*order)) == whole
    for size in (1, 4, 7):
        assert await paged(store, Query(Call).by(*order), size) == whole
    split = Query(Call).where("status", "in", ["failed", "ended", "ended"]).by(*order)
    assert await paged(store, split, 7) == whole
    either = Query(Call).where("direction|kind", "in", ["inbound", "phone"]).by(*order)
    assert await paged(store, either, 7) == whole


def ordered(entities: list[Any], order: tuple[str, ...]) -> list[Any]:
    for name in reversed(order):
        field = name.removeprefix("-")
        rank: Callable[[Any], Any] = lambda e: (getattr(e, field) is not None, getattr(e, field))  # noqa: B023, E731
        entities = sorted(entities, key=rank, reverse=name.startswith("-"))
    return entities


async def paged(store: Store, query: Query[Any], size: int) -> list[str]:
    found: list[str] = []
    page = await store.find(query.page(size))
    while page:
        found += [entity.id for entity in page]
        page = await store.find(query.page(size, query.cursor(page[-1])))
    return found


async def test_labelled_pages_put_together_are_the_whole_in_order(store: Store) -> None:
    recordings = [recording(n, created_ms=n // 3, tags=("a",) if n % 2 else ("b",)) for n in range(20)]
    await store.commit(unit_of(*recordings))
    query = Query(Recording).where("workspace_id", "=", "w").where("tags", "has", "a").by("-created_ms", "-id")
    assert await paged(store, query, 3) == [f"r{n:03}" for n in range(19, 0, -2)]


async def test_a_page_may_begin_at_an_offset_and_a_count_knows_nothing_of_pages(store: Store) -> None:
    await store.commit(unit_of(*(call(n) for n in range(9))))
    query = Query(Call).by("-id")
    assert await ids(store, query.page(2, offset=3)) == ["c005", "c004"]
    assert await ids(store, query._replace(offset=7)) == ["c001", "c000"]
    assert await ids(store, query.page(0)) == []
    assert await store.count(query.page(2, ("c005",), offset=1)) == 9


# -- many at once -------------------------------------------------------------------------------


async def test_two_hundred_units_at_once_are_each_whole(store: Store) -> None:
    async def add(n: int) -> None:
        unit = unit_of(call(n), recording(n, tags=("t",)))
        unit.tell(event(f"e{n:03}", recording_id=f"r{n:03}"))
        unit.note(entry(f"a{n:03}"))
        unit.enqueue(job(f"j{n:03}"))
        await store.commit(unit)

    await asyncio.gather(*map(add, range(200)))
    calls = await store.find(Query(Call).by("chat_id"))
    assert [c.chat_id for c in calls] == list(range(1, 201))
    assert {c.id for c in calls} == {f"c{n:03}" for n in range(200)}
    for kind in (Recording, Event, Job):
        assert await store.count(Query(kind)) == 200
    assert await store.count(Query(Recording).where("tags", "has", "t")) == 200
    assert sorted(await chain_of(store, "w")) == [f"a{n:03}" for n in range(200)]
    positions = [e.position for e in await store.find(Query(Event).by("position"))]
    assert len(set(positions)) == 200


async def test_a_unit_that_fails_disturbs_none_beside_it(store: Store) -> None:
    await store.commit(unit_of(workspace(1)))

    async def add(n: int) -> Exception | None:
        unit = unit_of(call(n))
        unit.tell(event(f"e{n:03}"))
        unit.note(entry(f"a{n:03}"))
        if n % 5 == 0:
            unit.add(workspace(1))
        try:
            await store.commit(unit)
        except AlreadyThere as error:
            return error
        return None

    outcomes = await asyncio.gather(*map(add, range(60)))
    assert [n for n, outcome in enumerate(outcomes) if outcome] == list(range(0, 60, 5))
    kept = [n for n in range(60) if n % 5]
    assert await ids(store, Query(Call).by("id")) == [f"c{n:03}" for n in kept]
    assert sorted(await ids(store, Query(Event))) == [f"e{n:03}" for n in kept]
    assert sorted(await chain_of(store, "w")) == [f"a{n:03}" for n in kept]
    assert sorted(c.chat_id for c in await store.find(Query(Call))) == list(range(1, len(kept) + 1))


async def test_of_many_changes_of_one_version_one_is_done(store: Store) -> None:
    await store.commit(unit_of(workspace()))
    changes = (store.commit(changing(workspace(name=f"by {n}", version=2))) for n in range(20))
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    winners = [n for n, outcome in enumerate(outcomes) if outcome is None]
    assert [type(outcome) for outcome in outcomes if outcome] == [StaleWrite] * 19
    assert await store.get(Workspace, "w1") == workspace(name=f"by {winners[0]}", version=2)


async def test_counters_lose_nothing(store: Store) -> None:
    await store.commit(unit_of(recording(1), recording(2)))

    async def bump(n: int) -> None:
        unit = Unit()
        both = [recording(1), recording(2)]
        for one in both if n % 2 else reversed(both):
            unit.bump(one, download_count=1)
        await store.commit(unit)

    await asyncio.gather(*map(bump, range(100)))
    assert [r.download_count for r in await store.find(Query(Recording))] == [100, 100]


async def test_a_reader_sees_whole_units_only(store: Store) -> None:
    await store.commit(unit_of(workspace(1, name="0"), workspace(2, name="0")))
    done = False

    async def write() -> None:
        nonlocal done
        for n in range(1, 60):
            unit = Unit()
            unit.put(workspace(1, name=str(n)))
            unit.put(workspace(2, name=str(n)))
            await store.commit(unit)
            await asyncio.sleep(0)
        done = True

    async def read() -> int:
        reads = 0
        while not done:
            names = {w.name for w in await store.find(Query(Workspace))}
            assert len(names) == 1
            reads += 1
            await asyncio.sleep(0)
        return reads

    _, reads = await asyncio.gather(write(), read())
    assert reads > 10


async def test_a_reader_of_events_who_goes_on_behind_the_last_misses_none(store: Store) -> None:
    writers, each = 12, 10
    seen: list[str] = []
    ended = 0

    async def write(writer: int) -> None:
        nonlocal ended
        for n in range(each):
            unit = unit_of(call(writer * each + n, workspace_id=f"w{writer % 3}"))
            unit.tell(event(f"{writer}-{n}-a"), event(f"{writer}-{n}-b"))
            await store.commit(unit)
        ended += 1

    async def read() -> None:
        position = 0
        while True:
            last_look = ended == writers
            news = await store.find(Query(Event).where("position", ">", position).by("position").page(7))
            seen.extend(e.id for e in news)
            position = news[-1].position if news else position
            if last_look and not news:
                return
            await asyncio.sleep(0)

    await asyncio.gather(read(), *map(write, range(writers)))
    assert len(seen) == len(set(seen)) == writers * each * 2
    assert all(seen[seen.index(e) + 1] == e[:-1] + "b" for e in seen if e.endswith("a"))
