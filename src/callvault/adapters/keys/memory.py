"""The workspace keys of this process, unwrapped, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callvault.adapters.keys.wrapping import unwrap, wrap
from callvault.domain.errors import KeyUnavailable, Misconfigured
from callvault.domain.workspace import WorkspaceKey
from callvault.ports.keyring import MasterKey
from callvault.wire.customerkey import CustomerKey

CONTEXT = b"callvault data key\x00"


@dataclass(frozen=True, slots=True)
class Ring:
    """One workspace's keys."""

    ciphers: dict[str, AESGCM]
    seals: str
    """The id of the key that seals; empty when there is none."""
    customer: CustomerKey | None


class MemoryKeyring:
    """Safe for threads: a workspace's ring is replaced whole."""

    def __init__(self, master: MasterKey) -> None:
        self._master = master
        self._rings: dict[str, Ring] = {}

    def learn(self, workspace_id: str, keys: Sequence[WorkspaceKey], customer_public_key: str | None) -> None:
        active = [key for key in keys if key.retired_ms is None]
        newest = max(active, key=lambda key: (key.created_ms, key.id), default=None)
        self._rings[workspace_id] = Ring(
            {key.id: AESGCM(self._master.unwrap(key.wrapped, workspace_id)) for key in keys},
            newest.id if newest else "",
            _customer_key(workspace_id, customer_public_key) if customer_public_key else None,
        )

    def knows(self, workspace_id: str, sealing: str | None = None) -> bool:
        ring = self._rings.get(workspace_id)
        return ring is not None and (_key_id(sealing) if sealing else ring.seals) in ring.ciphers

    def newest(self, workspace_id: str) -> str | None:
        ring = self._rings.get(workspace_id)
        return ring.seals or None if ring else None

    def wrap(self, workspace_id: str, data_key: bytes, name: str) -> tuple[str, str | None]:
        ring = self._rings.get(workspace_id)
        if ring is None or not ring.seals:
            raise _unavailable(workspace_id, "it was not loaded, or was destroyed")
        sealing = f"{ring.seals}.{wrap(ring.ciphers[ring.seals], data_key, CONTEXT + name.encode())}"
        return sealing, ring.customer.wrap(data_key) if ring.customer else None

    def unwrap(self, workspace_id: str, sealing: str, name: str) -> bytes:
        ring = self._rings.get(workspace_id)
        cipher = ring.ciphers.get(_key_id(sealing)) if ring else None
        if cipher is None:
            raise _unavailable(workspace_id, "the one that sealed was not loaded, or was destroyed")
        data_key = unwrap(cipher, sealing.partition(".")[2], CONTEXT + name.encode())
        if data_key is None:
            raise _unavailable(workspace_id, f"the data key of {name} was changed, or is another object's")
        return data_key


def _customer_key(workspace_id: str, pem: str) -> CustomerKey:
    try:
        return CustomerKey(pem)
    except ValueError as mistake:
        raise Misconfigured(problems=f"workspace {workspace_id} has a customer key of no use: {mistake}") from None


def _key_id(sealing: str) -> str:
    return sealing.partition(".")[0]


def _unavailable(workspace_id: str, why: str) -> KeyUnavailable:
    return KeyUnavailable(key=f"of workspace {workspace_id!r}", why=why)
