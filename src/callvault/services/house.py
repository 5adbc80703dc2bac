"""The house: every service under one name each, as the web, the worker and the command line are handed them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from callvault.ports.blobs import Blobs
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.audit import Audit, AuditTrail
from callvault.services.keys import Keys
from callvault.services.workspaces import Workspaces

Check = Callable[[], Awaitable[None]]
"""Returns when a part of the house is well; else raises what is wrong with it."""


@dataclass(slots=True, kw_only=True)
class Services:
    clock: Clock
    ids: Ids
    store: Store
    blobs: Blobs
    audit: Audit
    audit_trail: AuditTrail
    access: Access
    keys: Keys
    workspaces: Workspaces
    checks: Mapping[str, Check] = field(default_factory=dict)
    """`database`, `storage`, `disk` ...: what /readyz and `callvault doctor` ask."""
    gauges: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    """Numbers that /metrics shows, by name, as they are when it is asked."""
