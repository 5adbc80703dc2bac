"""What the audit says, for tests that look at it."""

from collections.abc import Sequence

from callvault.domain.audit import AuditBlock, AuditEntry, ChainedEntry
from callvault.domain.query import Query
from callvault.ports.store import Store


async def audited(store: Store) -> list[AuditEntry]:
    """Every entry, in the order of its chain."""
    return [link.entry for link in await chained_entries(store)]


async def chained_entries(store: Store) -> list[ChainedEntry]:
    return [link for block in await blocks(store) for link in block.entries()]


async def blocks(store: Store) -> Sequence[AuditBlock]:
    return await store.find(Query(AuditBlock).by("workspace_id", "seq"))
