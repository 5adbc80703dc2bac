"""Every storage that the contract of blobs is held against, opened for one test."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from callvault.adapters.blobs.disk import DiskBlobs
from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.blobs.opening import open_blobs
from callvault.adapters.blobs.retrying import RetryingBlobs
from callvault.adapters.blobs.sealed import SealedBlobs
from callvault.adapters.blobs.sparing import SparingBlobs
from callvault.adapters.keys.master import KeyBytes
from callvault.adapters.keys.memory import MemoryKeyring
from callvault.adapters.room import DiskRoom
from callvault.domain.errors import BlobsUnavailable
from callvault.domain.stored import StoredObject
from callvault.domain.workspace import WorkspaceKey
from callvault.ports.blobs import Blobs
from tests.servers_azure import AzureServer
from tests.servers_s3 import S3Server

WORKSPACE = "0199a2c0-0000-7000-8000-000000000001"
"""Names begin with it, as the program's do."""


@dataclass(frozen=True)
class Storage:
    blobs: Blobs
    below: Blobs
    """Where the bytes end up, past sealing and retrying."""

    def put(self, name: str, *chunks: bytes) -> StoredObject:
        return self.blobs.put(f"{WORKSPACE}/{name}", chunks, workspace_id=WORKSPACE)


class FlakyBlobs:
    """Memory that fails at the first attempt of everything, and in the middle of a stream or a put."""

    def __init__(self) -> None:
        self.inner = MemoryBlobs()
        self.failed: set[tuple[object, ...]] = set()

    def put(self, key: str, chunks: Iterable[bytes], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        if ("put", key) not in self.failed:
            next(iter(chunks), b"")
            self._fail_once("put", key)
        return self.inner.put(key, chunks, digest=digest)

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> bytes:
        self._fail_once("read", obj, start, length)
        return self.inner.read(obj, start, length)

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        for chunk in self.inner.stream(obj, start, length):
            self._fail_once("stream", obj, start)
            yield chunk

    def delete(self, key: str) -> None:
        self._fail_once("delete", key)
        self.inner.delete(key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        for at, found in enumerate(self.inner.list(prefix)):
            if at == 2:
                self._fail_once("list", prefix)
            yield found

    def check(self) -> None:
        self.inner.check()

    def _fail_once(self, *what: object) -> None:
        if what not in self.failed:
            self.failed.add(what)
            raise BlobsUnavailable(why="it is flaky")


def keyring(*workspaces: str, customer: str | None = None) -> MemoryKeyring:
    master = KeyBytes(bytes(range(32)))
    ring = MemoryKeyring(master)
    for workspace in workspaces or (WORKSPACE,):
        key = WorkspaceKey(
            id=f"key-of-{workspace}",
            workspace_id=workspace,
            created_ms=1,
            wrapped=master.wrap(secrets.token_bytes(32), workspace),
            master_key_id=master.id,
        )
        ring.learn(workspace, [key], customer)
    return ring


def sealed(below: Blobs) -> Storage:
    return Storage(SealedBlobs(below, keyring()), below)


def plain(below: Blobs) -> Storage:
    return Storage(below, below)


def opened(kind: str, folder: Path, request: pytest.FixtureRequest) -> Storage:
    """By name; servers are started only for those that need them. Each test has a prefix or a folder of its own."""
    prefix = f"p{secrets.token_hex(6)}"
    match kind.removeprefix("sealed-"):
        case "memory":
            below: Blobs = MemoryBlobs()
        case "disk":
            below = DiskBlobs(folder / "storage")
        case "retrying":
            below = RetryingBlobs(FlakyBlobs(), pause=lambda seconds: None)
        case "sparing":
            below = SparingBlobs(DiskBlobs(folder / "storage"), DiskRoom(folder, spare_bytes=0))
        case "s3":
            s3: S3Server = request.getfixturevalue("s3_server")
            below = open_blobs(s3.url(prefix), s3.credentials)
        case "azure":
            azure: AzureServer = request.getfixturevalue("azure_server")
            below = open_blobs(azure.url(prefix), azure.credentials)
        case _:
            raise ValueError(kind)
    return sealed(below) if kind.startswith("sealed-") else plain(below)
