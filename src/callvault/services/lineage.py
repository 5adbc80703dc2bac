"""Lineage: all versions of calls, and all that were made of one another, whichever calls they belong to.

They come as whole recordings or, where that is enough, as no more than `Version`: the `kind` that is asked for."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, TypeVar

from callvault.domain.query import GIVEN, Query, Term
from callvault.domain.recording import Derivation, Recording, Version
from callvault.domain.versions import newest_first
from callvault.ports.store import Store

V = TypeVar("V", bound=Version)
T = TypeVar("T")
QUICK_VERSIONS: Final = 50
"""Of so many there is less to think than to ask a thread to."""


def _living(*given: str) -> dict[type[Version], Query[Any]]:
    """Those with given values in these fields, for each kind of telling."""
    terms = (*(Term(name, "=", GIVEN) for name in given), Term("deleted_ms", "is null"))
    return {kind: Query(kind, terms) for kind in (Recording, Version)}


_OF_CALL: Final = _living("call_id")
_OF_CHAT: Final = _living("workspace_id", "chat_id")


async def versions_of(store: Store, kind: type[V], call_id: str) -> Sequence[V]:
    """The living ones of a call, the newest first: they are few, and an index that had them in order would be twice as
    large."""
    return newest_first(await store.find(_OF_CALL[kind], call_id))


async def versions_of_chat(store: Store, kind: type[V], workspace_id: str, chat_id: int) -> Sequence[V]:
    return newest_first(await store.find(_OF_CHAT[kind], workspace_id, chat_id)) if 0 < chat_id < 2**63 else ()


async def versions_of_each(store: Store, kind: type[V], call_ids: Collection[str]) -> Sequence[V]:
    query = Query(kind).where("call_id", "in", tuple(call_ids)).where("deleted_ms", "is null")
    return await store.find(query.by("call_id", "id")) if call_ids else ()


async def sources_of(store: Store, recordings: Iterable[Version]) -> dict[str, Version]:
    """All that they were made of, over any number of steps, by id; originals cost no look."""
    known: dict[str, Version] = {}
    while fresh := {name for recording in recordings for name in recording.derived_from} - known.keys():
        recordings = await store.find(Query(Version).where("id", "in", tuple(fresh)).by("id"))
        known.update((recording.id, recording) for recording in recordings)
    return known


async def family_of(
    store: Store, kind: type[V], recordings: Iterable[V], complete: Collection[str] = frozenset()
) -> list[V]:
    """The recordings, all they were made of, all that was made of any of these, and the other living ones of the same
    calls: but for the calls of which it is told that all are there."""
    known = {recording.id: recording for recording in recordings}
    fresh, calls = set(known), set(complete)
    while fresh:
        made = Query(Derivation).where("parent_id", "in", tuple(fresh)).by("parent_id", "child_id")
        kin = {derivation.child_id for derivation in await store.find(made)}
        kin.update(parent for name in fresh for parent in known[name].derived_from)
        found = [await store.get(kind, name) for name in kin - known.keys()]
        others = {known[name].call_id for name in fresh} - calls
        found += await versions_of_each(store, kind, others)
        calls |= others
        fresh = {recording.id for recording in found if recording} - known.keys()
        known.update((recording.id, recording) for recording in found if recording)
    return list(known.values())


async def beside(family: Collection[Version], work: Callable[[], T]) -> T:
    """What is found out about a family, beside the event loop where it is a large one."""
    return work() if len(family) <= QUICK_VERSIONS else await asyncio.to_thread(work)
