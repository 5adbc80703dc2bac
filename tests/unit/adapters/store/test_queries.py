"""That lists are read from an index, in its order, from where the page begins: by SQLite's own account."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callvault.adapters.store.queries import Queries
from callvault.adapters.store.statements import Dialect
from callvault.domain.call import Call
from callvault.domain.event import Event
from callvault.domain.filters import Between, CallFilter, RecordingFilter
from callvault.domain.query import Query, Term
from callvault.domain.recording import Recording, Version
from callvault.services.audit import AT_A_LOOK, about
from callvault.services.retention import expired, outlived

CURSOR = (5, "id")
SOME_TIME = Between(ge=1, lt=9)

LISTS = {
    "calls": CallFilter(),
    "calls by one status": CallFilter(status=("ended",)),
    "calls by several statuses": CallFilter(status=("ended", "failed", "queued")),
    "calls by direction": CallFilter(direction=("web",)),
    "calls by kind": CallFilter(kind=("direct",)),
    "calls of an assistant": CallFilter(assistant_id="a"),
    "calls of a phone number": CallFilter(phone_number_id="p"),
    "calls from a number": CallFilter(from_number="+1"),
    "calls to a number": CallFilter(to_number="+1"),
    "calls of a number on either side": CallFilter(number="+1"),
    "calls of some time": CallFilter(created=SOME_TIME),
    "calls of an assistant, of some time, by several statuses": CallFilter(
        assistant_id="a", created=SOME_TIME, status=("ended", "failed")
    ),
    "recordings": RecordingFilter(),
    "recordings by one status": RecordingFilter(status=("failed",)),
    "recordings by several statuses": RecordingFilter(status=("failed", "processing")),
    "recordings of a call": RecordingFilter(call_id="c"),
    "recordings by tag": RecordingFilter(tag="t"),
    "recordings by tag, statuses and time": RecordingFilter(tag="t", status=("failed", "x"), created=SOME_TIME),
}


@pytest.fixture
def connection(sqlite_database: Path) -> sqlite3.Connection:
    return sqlite3.connect(sqlite_database)


def plan(connection: sqlite3.Connection, query: Query[Any]) -> list[str]:
    plan, values = Queries(Dialect("sqlite")).find(query)
    return [line[3] for line in connection.execute(f"EXPLAIN QUERY PLAN {plan.text}", values)]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("after", [None, CURSOR], ids=["first page", "later page"])
def test_a_page_of_a_list_is_read_in_the_order_of_an_index(
    connection: sqlite3.Connection, name: str, after: tuple[Any, ...] | None
) -> None:
    steps = plan(connection, LISTS[name].query("w", "m").page(50, after))
    searches = [step for step in steps if step.startswith("SEARCH")]
    assert searches and not any("TEMP B-TREE" in step for step in steps)
    assert all("VIRTUAL TABLE" in step for step in steps if step.startswith("SCAN"))
    if after:
        listed = [step for step in searches if "workspace_id" in step]
        assert listed and all("(created_ms,id)<(?,?)" in step for step in listed)


def test_the_blocks_about_a_thing_are_found_by_the_mentions_of_each_stretch(connection: sqlite3.Connection) -> None:
    steps = plan(connection, about("w", "recording:r", 4, AT_A_LOOK + 3).page(100, (3,)))
    searches = [step for step in steps if step.startswith("SEARCH")]
    key = "SEARCH audit_mentions USING PRIMARY KEY (thing_key=? AND seq>? AND seq<?)"
    assert searches == [key] * 16 and not any("TEMP B-TREE" in step for step in steps)


def test_events_are_read_on_from_a_position(connection: sqlite3.Connection) -> None:
    steps = plan(connection, Query(Event).where("position", ">", 3).by("position").page(9))
    assert steps == ["SEARCH events USING INDEX sqlite_autoindex_events_2 (position>?)"]


@pytest.mark.parametrize("after", [None, CURSOR], ids=["first page", "later page"])
@pytest.mark.parametrize(("due", "index"), [(expired, "expiry_told_expires_ms"), (outlived, "held_auto_delete_ms")])
def test_what_is_due_is_found_without_a_look_at_what_was_done_with(
    connection: sqlite3.Connection, due: Callable[[int], Query[Recording]], index: str, after: tuple[Any, ...] | None
) -> None:
    [step] = plan(connection, due(9).page(100, after))
    assert step.startswith(f"SEARCH recordings USING INDEX ix_recordings_live_{index}_id (")
    assert step.count("=?") == 1 and "_ms" in step.partition(" (")[2]


def test_a_shape_of_query_is_compiled_once_and_values_never_become_text() -> None:
    queries = Queries(Dialect("sqlite"))
    base = Query(Call).where("workspace_id", "=", "w'; --").by("-created_ms", "-id")
    first, values = queries.find(base.page(5, (7, "x")))
    second, others = queries.find(base.page(9, (8, "y")))
    assert first is second
    assert values == ("w'; --", 7, "x", 5, 0)
    assert others == ("w'; --", 8, "y", 9, 0)
    assert "'" not in first.text


def test_a_long_list_of_values_is_one_value() -> None:
    queries = Queries(Dialect("sqlite"))
    sizes = {queries.find(Query(Call).where("id", "in", list(map(str, range(n)))))[0].text for n in (1, 50, 5000)}
    assert len(sizes) == 1


@pytest.mark.parametrize("of", [{"call_id": "c"}, {"workspace_id": "w", "chat_id": 7}])
def test_the_versions_of_a_call_are_found_by_one_search(connection: sqlite3.Connection, of: dict[str, object]) -> None:
    query = Query(Version, tuple(Term(name, "=", value) for name, value in of.items()))
    (step,) = plan(connection, query.where("deleted_ms", "is null"))
    assert step.startswith("SEARCH recordings USING INDEX")
