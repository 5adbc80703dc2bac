"""Lineage: all versions of calls, and all that were made of one another, whichever calls they belong to."""

from collections.abc import Collection, Iterable, Sequence

from callvault.domain.query import Query, Term
from callvault.domain.recording import Derivation, Recording
from callvault.ports.store import Store


async def versions_of(store: Store, call_id: str) -> Sequence[Recording]:
    terms = (Term("call_id", "=", call_id), Term("deleted_ms", "is null"))
    return await store.find(Query(Recording, terms, ("-created_ms", "-id")))


async def versions_of_each(store: Store, call_ids: Collection[str]) -> Sequence[Recording]:
    query = Query(Recording).where("call_id", "in", tuple(call_ids)).where("deleted_ms", "is null")
    return await store.find(query.by("call_id", "id")) if call_ids else ()


async def family_of(
    store: Store, recordings: Iterable[Recording], complete: Collection[str] = frozenset()
) -> list[Recording]:
    """The recordings, all they were made of, all that was made of any of these, and the other living ones of the same
    calls: but for the calls of which it is told that all are there."""
    known = {recording.id: recording for recording in recordings}
    fresh, calls = set(known), set(complete)
    while fresh:
        made = Query(Derivation).where("parent_id", "in", tuple(fresh)).by("parent_id", "child_id")
        kin = {derivation.child_id for derivation in await store.find(made)}
        kin.update(parent for name in fresh for parent in known[name].derived_from)
        found = [await store.get(Recording, name) for name in kin - known.keys()]
        others = {known[name].call_id for name in fresh} - calls
        found += await versions_of_each(store, others)
        calls |= others
        fresh = {recording.id for recording in found if recording} - known.keys()
        known.update((recording.id, recording) for recording in found if recording)
    return list(known.values())
