"""Verification: every object against its digest, and database against storage in both directions."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar

from callvault.domain.errors import BlobCorrupt, BlobMissing, KeyUnavailable
from callvault.domain.lane import Segment
from callvault.domain.query import Query
from callvault.domain.stored import Artifact, Rendition, StoredObject
from callvault.domain.workspace import Workspace
from callvault.ports.blobs import Blobs
from callvault.ports.store import Store
from callvault.services.audit import AuditTrail, ChainReport
from callvault.services.sealing import Sealing

T = TypeVar("T")
AT_ONCE: Final = 500
PROBES: Final = "check/"
"""Where storages are probed: what is there is gone in a moment."""
REFERRING: Final = (
    (Segment, ("recording_id", "lane", "seq")),
    (Artifact, ("recording_id", "kind")),
    (Rendition, ("recording_id", "view", "format", "rate", "sound_version")),
)
"""What is made of stored objects, and the order to walk it in."""


@dataclass(slots=True)
class StorageReport:
    """What was looked at and what was found. An object that is `unclaimed` may be on its way: one that still is when
    nothing is being taken in is rubbish, or the database is older than the storage."""

    objects: int = 0
    size: int = 0
    references: int = 0
    missing: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """Sealed under a key that is not to be had."""
    dangling: list[str] = field(default_factory=list)
    """What refers to an object that the database does not know."""
    unclaimed: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return not (self.missing or self.corrupt or self.unreadable or self.dangling)


class Verification:
    """For the operator: it reads everything."""

    def __init__(self, store: Store, blobs: Blobs, sealing: Sealing, trail: AuditTrail) -> None:
        self._store, self._blobs, self._sealing, self._trail = store, blobs, sealing, trail

    async def chains(self) -> AsyncIterator[tuple[Workspace, ChainReport]]:
        """Of every workspace there ever was."""
        async for workspace in self._all(Query(Workspace).by("id")):
            yield workspace, await self._trail.verify(workspace.id)

    async def storage(self) -> StorageReport:
        report = StorageReport()
        await self._references(report)
        await self._objects(report)
        await self._unclaimed(report)
        return report

    async def _objects(self, report: StorageReport) -> None:
        async for obj in self._all(Query(StoredObject).by("key")):
            await self._object(obj, report)

    async def _object(self, obj: StoredObject, report: StorageReport) -> None:
        report.objects += 1
        report.size += obj.size
        try:
            await self._sealing.ensure(obj.workspace_id, [obj])
            if await asyncio.to_thread(self._digest, obj) != (obj.sha256, obj.size):
                report.corrupt.append(obj.key)
        except BlobMissing:
            if await self._store.get(StoredObject, obj.key):
                report.missing.append(obj.key)
        except BlobCorrupt:
            report.corrupt.append(obj.key)
        except KeyUnavailable:
            report.unreadable.append(obj.key)

    def _digest(self, obj: StoredObject) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        for chunk in self._blobs.stream(obj):
            digest.update(chunk)
            size += len(chunk)
        return digest.hexdigest(), size

    async def _references(self, report: StorageReport) -> None:
        for kind, order in REFERRING:
            query: Query[Any] = Query(kind).by(*order)
            async for rows in self._pages(query):
                report.references += len(rows)
                known = await self._known([row.object_key for row in rows])
                strange = [row for row in rows if row.object_key not in known]
                report.dangling += [
                    f"{kind.__name__.lower()} {row.recording_id} {row.object_key}"
                    for row in strange
                    if await self._stays(row, query)
                ]

    async def _stays(self, row: Any, query: "Query[Any]") -> bool:
        """Whether it is there still, with the same object: it may have been deleted or compacted meanwhile."""
        now = await self._store.get(type(row), *query.cursor(row))
        return now is not None and now.object_key == row.object_key

    async def _unclaimed(self, report: StorageReport) -> None:
        listed = self._blobs.list()
        while names := await asyncio.to_thread(lambda: [name for name, _ in islice(listed, AT_ONCE)]):
            known = await self._known(names)
            report.unclaimed += [name for name in names if name not in known and not name.startswith(PROBES)]
        for some in _groups(report.unclaimed[:]):
            late = await self._known(some)
            report.unclaimed = [name for name in report.unclaimed if name not in late]

    async def _known(self, names: Sequence[str]) -> set[str]:
        query = Query(StoredObject).where("key", "in", tuple(names)).by("key")
        return {obj.key for obj in await self._store.find(query)}

    async def _all(self, query: Query[T]) -> AsyncIterator[T]:
        async for rows in self._pages(query):
            for row in rows:
                yield row

    async def _pages(self, query: Query[T]) -> AsyncIterator[Sequence[T]]:
        after = None
        while rows := await self._store.find(query.page(AT_ONCE, after)):
            yield rows
            after = query.cursor(rows[-1])


def _groups(names: list[str]) -> Iterator[list[str]]:
    return (names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE))
