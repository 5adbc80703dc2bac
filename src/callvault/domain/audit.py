"""Who did what to what, and when: entries chained by hash, so that none can be changed or lost unseen."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from callvault.domain.ids import Json

GENESIS = "0" * 64
_in_one_form = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    id: str
    workspace_id: str
    at_ms: int
    actor: str
    """`key:<id>`, `link:<id>`, `public`, `operator` or `system`."""
    action: str
    thing: str
    """`recording:<id>`, `key:<id>` ..."""
    outcome: str = "done"
    """`done`, `refused` or `failed`."""
    member: str | None = None
    address: str | None = None
    request_id: str | None = None
    detail: dict[str, Json] = field(default_factory=dict)
    seq: int = 0
    """Counted within the workspace by the store; 0 until then."""
    previous: str = ""
    digest: str = ""


def chained(entries: Iterable[AuditEntry], seq: int, previous: str) -> list[AuditEntry]:
    """The entries numbered and chained behind the entry `seq` whose digest is `previous`."""
    links = []
    for entry in entries:
        seq += 1
        link = _digest(entry, seq, previous)
        links.append(replace(entry, seq=seq, previous=previous, digest=link))
        previous = link
    return links


def digest(entry: AuditEntry) -> str:
    """SHA-256 over everything in the entry but the digest itself, in one fixed form."""
    return _digest(entry, entry.seq, entry.previous)


def _digest(entry: AuditEntry, seq: int, previous: str) -> str:
    facts = [
        previous,
        seq,
        entry.id,
        entry.workspace_id,
        entry.at_ms,
        entry.actor,
        entry.action,
        entry.thing,
        entry.outcome,
        entry.member,
        entry.address,
        entry.request_id,
        entry.detail,
    ]
    return hashlib.sha256(_in_one_form(facts).encode()).hexdigest()
