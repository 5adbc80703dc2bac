"""Master keys from bytes, from text and from a file that only its owner may read."""

import hashlib
import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callvault.adapters.keys.wrapping import unwrap, wrap
from callvault.domain.errors import KeyUnavailable, Misconfigured
from callvault.wire.masterkey import parse_master_keys

CONTEXT = b"callvault workspace key\x00"


class KeyBytes:
    """A master key that is at hand."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise Misconfigured(problems=f"a master key is 32 bytes, not {len(key)}")
        self.id = hashlib.sha256(b"callvault master key id\x00" + key).hexdigest()[:16]
        self._cipher = AESGCM(key)

    def wrap(self, key: bytes, context: str) -> str:
        return f"{self.id}.{wrap(self._cipher, key, CONTEXT + context.encode())}"

    def unwrap(self, wrapped: str, context: str) -> bytes:
        by, _, sealed = wrapped.partition(".")
        if by != self.id:
            raise KeyUnavailable(key=f"of workspace {context}", why=f"master key {by} wrapped it, this is {self.id}")
        key = unwrap(self._cipher, sealed, CONTEXT + context.encode())
        if key is None:
            raise KeyUnavailable(key=f"of workspace {context}", why="what the database holds of it was changed")
        return key


class MasterKeys:
    """The master key in use, and those before it that may still open what they wrapped: so that one can be
    exchanged for another while the program runs."""

    def __init__(self, keys: Sequence[KeyBytes]) -> None:
        self._keys = {key.id: key for key in keys}
        self._current = keys[0]
        self.id = self._current.id

    def wrap(self, key: bytes, context: str) -> str:
        return self._current.wrap(key, context)

    def unwrap(self, wrapped: str, context: str) -> bytes:
        return self._keys.get(wrapped.partition(".")[0], self._current).unwrap(wrapped, context)


def open_master_keys(text: str, place: str) -> MasterKeys:
    """64 hexadecimal digits; behind them, in the same form, the master keys before, the newest first."""
    try:
        return MasterKeys([KeyBytes(key) for key in parse_master_keys(text)])
    except ValueError as mistake:
        raise Misconfigured(problems=f"{place} must be {mistake}") from None


def read_master_keys(path: Path) -> MasterKeys:
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except FileNotFoundError:
        raise KeyUnavailable(key="master", why=f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it holds no text"
        raise KeyUnavailable(key="master", why=f"{path} cannot be read ({why})") from None
    if stat.S_IMODE(mode) & 0o077:
        raise Misconfigured(problems=f"others may read the master key: run 'chmod 600 {path}'")
    return open_master_keys(text, f"the master key in {path}")


def create_master_key(path: Path) -> MasterKeys:
    """A fresh master key in a new file; the one that is there if somebody made it first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    file = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "w") as opened:
            opened.write(secrets.token_hex(32) + "\n")
            opened.flush()
            os.fsync(file)
        with suppress(FileExistsError):
            os.link(written, path)
    finally:
        written.unlink()
    return read_master_keys(path)
