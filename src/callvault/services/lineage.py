"""Lineage: all versions that were made of one another, whichever calls they belong to."""

from collections.abc import Iterable, Sequence

from callvault.domain.query import Query, Term
from callvault.domain.recording import Derivation, Recording
from callvault.ports.store import Store


async def versions_of(store: Store, call_id: str) -> Sequence[Recording]:
    terms = (Term("call_id", "=", call_id), Term("deleted_ms", "is null"))
    return await store.find(Query(Recording, terms, ("-created_ms", "-id")))


async def family_of(store: Store, recordings: Iterable[Recording]) -> list[Recording]:
    """The recordings, all they were made of and all that was made of any of these."""
    known = {recording.id: recording for recording in recordings}
    fresh = set(known)
    while fresh:
        made = Query(Derivation).where("parent_id", "in", tuple(fresh)).by("parent_id", "child_id")
        kin = {derivation.child_id for derivation in await store.find(made)}
        kin.update(parent for name in fresh for parent in known[name].derived_from)
        found = [await store.get(Recording, name) for name in kin - known.keys()]
        fresh = {recording.id for recording in found if recording}
        known.update((recording.id, recording) for recording in found if recording)
    return list(known.values())
