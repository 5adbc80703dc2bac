"""The house: every service under one name each, as the web, the worker and the command line are handed them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from callvault.domain.stored import StorageFacts
from callvault.ports.blobs import Blobs
from callvault.ports.room import Room
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.assembly import Assembly
from callvault.services.audit import Audit, AuditTrail
from callvault.services.calls import Calls
from callvault.services.delivery.delivery import Delivery
from callvault.services.erasures import Erasures
from callvault.services.events import Events
from callvault.services.holds import Holds
from callvault.services.idempotency import Idempotency
from callvault.services.ingest.intake import Intake
from callvault.services.jobs import Jobs
from callvault.services.keeping import Keeping
from callvault.services.keys import Keys
from callvault.services.purges import Purges
from callvault.services.recordings import Recordings
from callvault.services.retention import Retention
from callvault.services.sealing import Sealing
from callvault.services.streampasses import StreamPasses
from callvault.services.timelines import Timelines
from callvault.services.transcripts import Transcripts
from callvault.services.uploads import Uploads
from callvault.services.verbs import Verbs
from callvault.services.verification import Verification
from callvault.services.webhooks import Webhooks
from callvault.services.witness import Witness
from callvault.services.workspaces import Workspaces

Check = Callable[[], Awaitable[None]]
"""Returns when a part of the house is well; else raises what is wrong with it."""


@dataclass(slots=True, kw_only=True)
class Floor:
    """What the other services stand on."""

    clock: Clock
    ids: Ids
    store: Store
    blobs: Blobs
    audit: Audit
    access: Access
    witness: Witness
    sealing: Sealing


@dataclass(slots=True, kw_only=True)
class Offices(Floor):
    """What runs the house itself, and knows nothing of calls."""

    audit_trail: AuditTrail
    keys: Keys
    workspaces: Workspaces
    verification: Verification
    jobs: Jobs
    idempotency: Idempotency
    events: Events
    webhooks: Webhooks
    stream_passes: StreamPasses
    room: Room
    """For bodies on their way in."""
    storage: StorageFacts = field(default_factory=StorageFacts)
    checks: dict[str, Check] = field(default_factory=dict)
    """`database`, `storage`, `disk` ...: what /readyz asks."""
    gauges: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    """Numbers that /metrics shows, by name, as they are when it is asked."""


@dataclass(slots=True, kw_only=True)
class Services(Offices):
    calls: Calls
    recordings: Recordings
    holds: Holds
    timelines: Timelines
    transcripts: Transcripts
    purges: Purges
    retention: Retention
    erasures: Erasures
    intake: Intake
    delivery: Delivery
    uploads: Uploads
    keeping: Keeping
    assembly: Assembly
    verbs: Verbs
