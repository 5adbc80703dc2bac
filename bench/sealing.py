"""Sealing and unsealing beside the AES-GCM library alone, on the same bytes, by the CPU time of one core.

python -m bench.sealing [MiB]
"""

import hashlib
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.blobs.sealed import SealedBlobs
from callvault.adapters.keys.master import KeyBytes
from callvault.adapters.keys.memory import MemoryKeyring
from callvault.domain.stored import StoredObject
from callvault.domain.workspace import WorkspaceKey
from callvault.wire.sealed import FRAME, HEADER, SEALED_FRAME

MIB = 256
ROUNDS = 7
CHUNK = 2**20
Line = tuple[str, ...]


class Nowhere(MemoryBlobs):
    """Storage that costs nothing: it takes chunks and drops them, and gives out those that it was given to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[bytes] = []

    def put(self, key: str, chunks: Iterable[bytes], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        for _ in chunks:
            pass
        return StoredObject(key=key, size=0, sha256="")

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        return iter(self.held)


def run(mib: int = MIB) -> list[Line]:
    sound = secrets.token_bytes(mib * CHUNK)
    chunks = [sound[at : at + CHUNK] for at in range(0, len(sound), CHUNK)]
    nowhere, keyring = Nowhere(), _keyring()
    blobs = SealedBlobs(nowhere, keyring)
    obj, stored = _stored(keyring, chunks)
    nowhere.held = [stored[at : at + CHUNK] for at in range(0, len(stored), CHUNK)]
    frames = [stored[at : at + SEALED_FRAME] for at in range(len(HEADER), len(stored), SEALED_FRAME)]
    cipher, bound = AESGCM(keyring.unwrap("w", obj.sealing or "", obj.key)), HEADER + obj.key.encode()
    named: dict[str, Callable[[], object]] = {
        "raw seal": lambda: _raw_seal(cipher, sound),
        "seal": lambda: blobs.put("w/x", chunks, workspace_id="w", digest=False),
        "seal, digest too": lambda: blobs.put("w/x", chunks, workspace_id="w"),
        "digest alone": lambda: _digest(chunks),
        "raw open": lambda: _raw_open(cipher, frames, bound),
        "open": lambda: _drain(blobs.stream(obj)),
    }
    speeds = _speeds(named, len(sound))
    return [
        (f"{mib} MiB on one core", "GB/s", "of the library's"),
        *(_line(name, speeds, "raw seal") for name in ("raw seal", "seal", "seal, digest too", "digest alone")),
        *(_line(name, speeds, "raw open") for name in ("raw open", "open")),
    ]


def _speeds(named: dict[str, Callable[[], object]], size: int) -> dict[str, float]:
    """The best of several rounds, in which all take turns."""
    best = dict.fromkeys(named, float("inf"))
    for _ in range(ROUNDS):
        for name, do in named.items():
            began = time.thread_time()
            do()
            best[name] = min(best[name], time.thread_time() - began)
    return {name: size / seconds / 1e9 for name, seconds in best.items()}


def _line(name: str, speeds: dict[str, float], beside: str) -> Line:
    return name, f"{speeds[name]:.2f}", f"{speeds[name] / speeds[beside]:.2f}"


def _raw_seal(cipher: AESGCM, sound: bytes) -> None:
    view, nonce, bound = memoryview(sound), bytes(12), bytes(40)
    for at in range(0, len(sound), FRAME):
        cipher.encrypt(nonce, view[at : at + FRAME], bound)


def _raw_open(cipher: AESGCM, frames: list[bytes], bound: bytes) -> None:
    last = len(frames) - 1
    for index, frame in enumerate(frames):
        cipher.decrypt(bytes(3) + index.to_bytes(8, "big") + bytes([index == last]), frame, bound)


def _digest(chunks: Iterable[bytes]) -> None:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)


def _drain(stream: Iterator[bytes]) -> None:
    for _ in stream:
        pass


def _keyring() -> MemoryKeyring:
    master = KeyBytes(secrets.token_bytes(32))
    wrapped = master.wrap(secrets.token_bytes(32), "w")
    keyring = MemoryKeyring(master)
    keyring.learn("w", [WorkspaceKey(id="k", workspace_id="w", created_ms=0, wrapped=wrapped, master_key_id="")], None)
    return keyring


def _stored(keyring: MemoryKeyring, chunks: Iterable[bytes]) -> tuple[StoredObject, bytes]:
    below = MemoryBlobs()
    obj = SealedBlobs(below, keyring).put("w/x", chunks, workspace_id="w", digest=False)
    return obj, below.objects["w/x"]


if __name__ == "__main__":
    for line in run(int(sys.argv[1]) if len(sys.argv) > 1 else MIB):
        print("  ".join(cell.ljust(24) for cell in line))
