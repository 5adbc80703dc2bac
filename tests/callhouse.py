"""Calls and recordings over a store in memory, with a clock and callers that the tests hold in their hands."""

from callvault.adapters.store.memory import MemoryStore
from callvault.domain.access import Caller, Principal
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.workspace import SCOPES, Workspace
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.calls import Calls
from callvault.services.recordings import Recordings
from callvault.services.removal import Removal
from callvault.services.witness import Witness
from tests.fakes import FakeClock, FakeIds


class CallHouse:
    def __init__(self) -> None:
        self.store, self.clock, self.ids = MemoryStore(), FakeClock(), FakeIds()
        self.audit = Audit(self.store, self.clock)
        self.access = Access(self.store, self.clock, self.audit)
        self.witness = Witness(self.clock, self.ids, self.audit)
        self.removal = Removal(self.store, self.clock, self.ids, self.witness)
        tools = {"clock": self.clock, "ids": self.ids, "access": self.access, "witness": self.witness}
        self.calls = Calls(self.store, removal=self.removal, **tools)
        self.recordings = Recordings(self.store, removal=self.removal, calls=self.calls, **tools)

    async def workspace(self, name: str = "w", **settings: object) -> Workspace:
        unit, workspace = Unit(), Workspace(id=name, name=name, created_ms=0, **settings)
        unit.put(workspace)
        await self.store.commit(unit)
        return workspace

    async def all(self, kind: type, **fields: object) -> list:
        query = Query(kind)
        for name, value in fields.items():
            query = query.where(name, "=", value)
        return list(await self.store.find(query))


def caller(*scopes: str, workspace: str = "w", member: str = "m", kind: str = "private") -> Caller:
    """Without scopes: with all of them but the one that opens originals."""
    held = scopes or tuple(scope for scope in SCOPES if scope != "recordings:original")
    return Caller(Principal("k", workspace, member, frozenset(held), kind), "198.51.100.7", "r")
