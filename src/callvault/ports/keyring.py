"""Keys that wrap keys: the master key, and the workspace keys that it wraps."""

from collections.abc import Sequence
from typing import Protocol

from callvault.domain.workspace import WorkspaceKey


class MasterKey(Protocol):
    """The key above all, in a file, in the environment or in a KMS. It wraps 32-byte keys and nothing else."""

    @property
    def id(self) -> str:
        """Names the key without telling it, so that a wrong one is noticed."""
        ...

    def wrap(self, key: bytes, context: str) -> str:
        """The key, sealed together with the context (the workspace's id), as text."""
        ...

    def unwrap(self, wrapped: str, context: str) -> bytes:
        """`KeyUnavailable` when this master key or this context is not the one that wrapped it."""
        ...


class Keyring(Protocol):
    """The workspace keys in memory, unwrapped, for the sealing wrapper, which may not wait for a database."""

    def learn(self, workspace_id: str, keys: Sequence[WorkspaceKey], customer_public_key: str | None) -> None:
        """Takes in a workspace's keys, as the store has them; the newest that is not retired seals from now on."""
        ...

    def knows(self, workspace_id: str, sealing: str | None = None) -> bool:
        """Whether a key is there that seals, or the one that wrapped this `sealing`."""
        ...

    def newest(self, workspace_id: str) -> str | None:
        """The id of the key that seals now; a data key in long use that another one wrapped is to be replaced."""
        ...

    def wrap(self, workspace_id: str, data_key: bytes, name: str) -> tuple[str, str | None]:
        """The data key of the object `name`, wrapped by the workspace's key and, where there is one, to the
        customer's. `KeyUnavailable` when the workspace's key is not known or destroyed."""
        ...

    def unwrap(self, workspace_id: str, sealing: str, name: str) -> bytes:
        """`KeyUnavailable` when the key that wrapped it is not known, or it was wrapped for another name."""
        ...
