"""Who did what to what, and when: entries chained by hash, so that none can be changed or lost unseen."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quoted
from types import MappingProxyType
from typing import NamedTuple
from zlib import crc32

from callvault.domain.ids import Json

GENESIS = "0" * 64
STRETCH = 16
"""Bits of a number within its stretch of the chain. Whoever writes an entry dirties a page of the index of its stretch,
which is small, so that many share it; whoever looks for a thing looks once for each stretch."""
NOTHING: Mapping[str, Json] = MappingProxyType({})
_in_one_form = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


class AuditEntry(NamedTuple):
    workspace_id: str
    thing: str
    """`recording:<id>`, `key:<id>` ..."""
    at_ms: int
    actor: str
    """`key:<id>`, `link:<id>`, `public`, `operator` or `system`."""
    action: str
    outcome: str = "done"
    """`done`, `refused` or `failed`."""
    member: str | None = None
    address: str | None = None
    request_id: str | None = None
    detail: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """An entry in its place, as it is kept: in the very form that its digest is made of."""

    workspace_id: str
    seq: int
    """Counted within the workspace."""
    thing: str
    told: str
    """All that the entry says besides its workspace and its thing: a JSON list."""
    digest: str
    """SHA-256 over the digest of the entry before and everything in this one."""
    thing_key: int
    """By which the entries about a thing are found."""

    @property
    def entry(self) -> AuditEntry:
        return AuditEntry(self.workspace_id, self.thing, *json.loads(self.told))


def chained(entries: Iterable[AuditEntry], seq: int, previous: str) -> Iterator[ChainedEntry]:
    """The entries behind the entry `seq` whose digest is `previous`."""
    for workspace_id, thing, *rest, detail in entries:
        seq, told = seq + 1, _in_one_form([*rest, {**detail}])
        previous = _digest(previous, workspace_id, seq, thing, told)
        yield ChainedEntry(workspace_id, seq, thing, told, previous, thing_key(workspace_id, seq, thing))


def thing_key(workspace_id: str, seq: int, thing: str) -> int:
    """The same for all entries about a thing that stand in the same stretch of the chain, and for few others."""
    return seq >> STRETCH << 32 | crc32(f"{workspace_id} {thing}".encode(errors="replace"))


def thing_keys(workspace_id: str, thing: str, first: int, last: int) -> list[int]:
    """Those of all entries about the thing from the number `first` to `last`."""
    stretches = range(first >> STRETCH, (last >> STRETCH) + 1)
    return [thing_key(workspace_id, stretch << STRETCH, thing) for stretch in stretches]


def digest(entry: ChainedEntry, previous: str) -> str:
    """What it must be behind an entry of that digest."""
    return _digest(previous, entry.workspace_id, entry.seq, entry.thing, entry.told)


def _digest(previous: str, workspace_id: str, seq: int, thing: str, told: str) -> str:
    place = f'["{previous}",{_quoted(workspace_id)},{seq},{_quoted(thing)}]'
    return hashlib.sha256(f"{place}{told}".encode()).hexdigest()
