"""What the audit says, for tests that look at it."""

from callvault.domain.audit import AuditEntry, ChainedEntry
from callvault.domain.query import Query
from callvault.ports.store import Store


async def audited(store: Store) -> list[AuditEntry]:
    """Every entry, in the order of its chain."""
    return [link.entry for link in await store.find(Query(ChainedEntry).by("workspace_id", "seq"))]
