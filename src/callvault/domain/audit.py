"""Who did what to what, and when: blocks of entries chained by hash, so that none can be changed or lost unseen."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quoted
from types import MappingProxyType
from typing import NamedTuple
from zlib import crc32

from callvault.domain.ids import Json

GENESIS = "0" * 64
BLOCK = 128
"""So many entries a block holds at most: whoever wants one opens all of it."""
STRETCH = 14
"""Bits of a number within its stretch of the chain. Whoever writes dirties pages of the mentions of this stretch, which
are few, so that many entries share one; whoever looks for a thing looks once for each stretch."""
NOTHING: Mapping[str, Json] = MappingProxyType({})
_in_a_line = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=dict).encode


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
class AuditBlock:
    """What was committed together, or a part of it, in the very form that its digest is made of."""

    workspace_id: str
    seq: int
    """The number of its last entry: they are counted within the workspace."""
    first: int
    """That of its first one."""
    told: str
    """A JSON list with a list for each entry: all that it says besides its workspace."""
    digest: str
    """SHA-256 over the digest of the block before and everything in this one."""

    def entries(self, after: int = 0, thing: str | None = None) -> Iterator["ChainedEntry"]:
        for seq, told in enumerate(json.loads(self.told), self.first):
            if seq > after and (not thing or thing == told[0]):
                yield ChainedEntry(seq, AuditEntry(self.workspace_id, *told), self)


class ChainedEntry(NamedTuple):
    """An entry in its place."""

    seq: int
    entry: AuditEntry
    block: AuditBlock


@dataclass(frozen=True, slots=True)
class AuditMention:
    """That a block has entries about a thing."""

    thing_key: int
    seq: int
    """That of the block."""


def chained(entries: Sequence[AuditEntry], seq: int, previous: str) -> Iterator[tuple[AuditBlock, list[int]]]:
    """The entries, of one workspace, as blocks behind the entry `seq`, where the digest is `previous`; each block with
    the keys of the things that it mentions."""
    for at in range(0, len(entries), BLOCK):
        part = entries[at : at + BLOCK]
        workspace_id, first, seq = part[0].workspace_id, seq + 1, seq + len(part)
        told = _in_a_line([entry[1:] for entry in part])
        previous = _digest(previous, workspace_id, first, told)
        keys = thing_keys(workspace_id, seq, [entry.thing for entry in part])
        yield AuditBlock(workspace_id, seq, first, told, previous), keys


def thing_keys(workspace_id: str, seq: int, things: Iterable[str]) -> list[int]:
    """By which the block `seq` is found for the things, in order: a thing has the same one in all blocks that end in
    the same stretch of the chain, and few others have it."""
    stretch, salt = seq >> STRETCH << 32, crc32(f"{workspace_id} ".encode())
    return sorted({stretch | crc32(thing.encode(errors="replace"), salt) for thing in things})


def keys_between(workspace_id: str, thing: str, first: int, last: int) -> list[int]:
    """Those of the thing in all blocks from `first` to `last`."""
    stretches = range(first >> STRETCH, (last >> STRETCH) + 1)
    return [key for stretch in stretches for key in thing_keys(workspace_id, stretch << STRETCH, [thing])]


def digest(block: AuditBlock, previous: str) -> str:
    """What it must be behind a block of that digest."""
    return _digest(previous, block.workspace_id, block.first, block.told)


def _digest(previous: str, workspace_id: str, first: int, told: str) -> str:
    return hashlib.sha256(f'["{previous}",{_quoted(workspace_id)},{first}]{told}'.encode()).hexdigest()
