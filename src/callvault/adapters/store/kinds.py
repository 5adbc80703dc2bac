"""What the store keeps: one line for each entity of the domain, with its table, key and indexes.

To keep a new entity: add its line here and run `python -m callvault.adapters.store.draft`, which writes the tables of
the first migration anew. That ends with the first release; from then on a change is a new migration, never an old one
edited. Columns come from the dataclass itself, see `rows.py`.

An index that lists are paged by ends in what they are ordered by, with `-` before what falls where the rest rises.
`live` indexes leave out deleted entities, for queries that say `deleted_ms is null`. `labels` are tuples of words that
`has` finds through a table of their own.
"""

import re
from dataclasses import dataclass
from typing import Any

from callvault.domain.audit import AuditBlock, AuditMention
from callvault.domain.call import Call, Chat, ExternalId, Turn
from callvault.domain.event import Event
from callvault.domain.hold import Hold
from callvault.domain.idempotency import IdempotentRequest
from callvault.domain.job import Job
from callvault.domain.lane import Lane, OpenSpool, Passage, Segment, Span
from callvault.domain.recording import Derivation, Recording, Version
from callvault.domain.schedule import Firing
from callvault.domain.stored import Artifact, Rendition, StoredObject
from callvault.domain.upload import Upload
from callvault.domain.webhook import Delivery, OutboxCursor, WebhookEndpoint
from callvault.domain.workspace import ApiKey, Member, Workspace, WorkspaceKey

Fields = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    entity: type[Any]
    table: str
    key: Fields
    unique: tuple[Fields, ...] = ()
    indexes: tuple[Fields, ...] = ()
    live: tuple[Fields, ...] = ()
    labels: str | None = None

    @property
    def noun(self) -> str:
        """`api key` of `ApiKey`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.entity.__name__).lower()


LABEL_FACTS = ("workspace_id", "created_ms", "status", "deleted_ms")
"""What a label repeats of its entity, so that lists by label are narrowed and ordered without looking it up."""

_NEWEST = ("created_ms", "id")
_CALL_FILTERS = ("status", "direction", "kind", "assistant_id", "phone_number_id", "from_number", "to_number")

KINDS = (
    Kind(Workspace, "workspaces", ("id",), indexes=(("name",),)),
    Kind(WorkspaceKey, "workspace_keys", ("id",), indexes=(("workspace_id", *_NEWEST),)),
    Kind(Member, "members", ("workspace_id", "id")),
    Kind(ApiKey, "api_keys", ("id",), unique=(("prefix",),), indexes=(("workspace_id", *_NEWEST),)),
    Kind(
        Call,
        "calls",
        ("id",),
        unique=(("public_id",), ("workspace_id", "chat_id")),
        indexes=(("workspace_id", *_NEWEST),),
        live=(("workspace_id", *_NEWEST), *(("workspace_id", name, *_NEWEST) for name in _CALL_FILTERS)),
    ),
    Kind(ExternalId, "external_ids", ("workspace_id", "system", "value"), indexes=(("call_id", "system", "value"),)),
    Kind(Turn, "turns", ("call_id", "seq")),
    Kind(
        Recording,
        "recordings",
        ("id",),
        indexes=(
            ("workspace_id", *_NEWEST),
            ("call_id",),
            ("workspace_id", "chat_id"),
            ("in_progress", "last_heard_ms", "id"),
        ),
        live=(
            ("workspace_id", *_NEWEST),
            ("workspace_id", "status", *_NEWEST),
            ("expiry_told", "expires_ms", "id"),
            ("held", "auto_delete_ms", "id"),
        ),
        labels="tags",
    ),
    Kind(Derivation, "derivations", ("parent_id", "child_id")),
    Kind(Hold, "holds", ("id",), indexes=(("recording_id", "id"),)),
    Kind(Lane, "lanes", ("recording_id", "name")),
    Kind(Segment, "segments", ("recording_id", "lane", "seq"), indexes=(("object_key",),)),
    Kind(Span, "spans", ("id",), indexes=(("recording_id", "start_us", "id"),)),
    Kind(OpenSpool, "open_spools", ("recording_id", "node"), indexes=(("node", "recording_id"),)),
    Kind(StoredObject, "stored_objects", ("key",), indexes=(("recording_id", "key"), ("workspace_id", "key"))),
    Kind(Artifact, "artifacts", ("recording_id", "kind")),
    Kind(Rendition, "renditions", ("recording_id", "view", "format", "rate", "sound_version")),
    Kind(Upload, "uploads", ("id",), indexes=(("expires_ms", "id"), ("recording_id", "id"))),
    Kind(
        IdempotentRequest,
        "idempotent_requests",
        ("workspace_id", "key"),
        indexes=(("claimed_ms", "workspace_id", "key"),),
    ),
    Kind(
        Event,
        "events",
        ("id",),
        unique=(("position",),),
        indexes=(("workspace_id", "position"), ("recording_id", "position")),
    ),
    Kind(AuditBlock, "audit_blocks", ("workspace_id", "seq")),
    Kind(AuditMention, "audit_mentions", ("thing_key", "seq")),
    Kind(
        Job,
        "jobs",
        ("id",),
        indexes=(
            ("kind", "state", "-priority", "due_ms", "id"),
            ("workspace_id", *_NEWEST),
            ("recording_id", *_NEWEST),
            ("ended_ms", "id"),
        ),
    ),
    Kind(Firing, "firings", ("name",)),
    Kind(WebhookEndpoint, "webhook_endpoints", ("id",), indexes=(("workspace_id", *_NEWEST),)),
    Kind(
        Delivery,
        "deliveries",
        ("id",),
        indexes=(("endpoint_id", *_NEWEST), ("endpoint_id", "state", *_NEWEST), _NEWEST, ("state", "due_ms", "id")),
    ),
    Kind(OutboxCursor, "outbox_cursors", ("name",)),
)

PARTS: dict[type[Any], type[Any]] = {Chat: Call, Passage: Segment, Version: Recording}
"""Of some kinds, what may be read without the rest: the columns of its own fields."""

BY_ENTITY = {kind.entity: kind for kind in KINDS}
BY_ENTITY |= {part: BY_ENTITY[whole] for part, whole in PARTS.items()}


def kind_of(entity: type[Any]) -> Kind:
    return BY_ENTITY[entity]
