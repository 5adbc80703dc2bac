"""Digest fields (RFC 9530): what a body's digest shall be, and whether it is."""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

from callvault.domain.errors import DigestMismatch, Malformed

ALGORITHMS: Final = {"sha-256": "sha256", "sha-512": "sha512"}
"""Those of the RFC that still prove anything, with hashlib's names for them."""

_FIELD_MAX: Final = 4096
_MEMBER: Final = re.compile(
    r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):"
    r"""((?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=(?:"[^"\\]*"|[A-Za-z0-9:/+=.?!*'_-]+))?)*)[ \t]*(?:,|$)"""
)


def parse(field: str) -> dict[str, bytes]:
    """The digests by algorithm, unknown ones too; of one that is named twice the last counts (RFC 8941)."""
    digests: dict[str, bytes] = {}
    at = 0
    while at < len(field):
        member = _MEMBER.match(field, at) if len(field) <= _FIELD_MAX else None
        if member is None:
            raise _malformed("it is no dictionary of byte sequences")
        digests[member[1]] = _bytes(member[2])
        at = member.end()
    if not digests or field.rstrip(" \t").endswith(","):
        raise _malformed("a digest is missing in it")
    return digests


def serialize(digests: Mapping[str, bytes]) -> str:
    return ", ".join(f"{name}=:{b64encode(digest).decode()}:" for name, digest in digests.items())


class Promised:
    """Hashes a body as it comes, by the strongest algorithm of a field, and compares at the end."""

    def __init__(self, field: str) -> None:
        """Algorithms that nobody should rely on, or that we do not know, are passed over: then nothing is checked."""
        digests = parse(field)
        self.algorithm = next((name for name in ("sha-512", "sha-256") if name in digests), None)
        self._expected = digests.get(self.algorithm or "", b"")
        self._hash = hashlib.new(ALGORITHMS[self.algorithm]) if self.algorithm else None
        if self._hash and len(self._expected) != self._hash.digest_size:
            raise _malformed("a digest has a wrong length")

    def update(self, chunk: bytes) -> None:
        if self._hash:
            self._hash.update(chunk)

    def check(self) -> None:
        """`DigestMismatch` when the body was another one."""
        if self._hash and not hmac.compare_digest(self._hash.digest(), self._expected):
            raise DigestMismatch


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise _malformed("a digest is no base64") from error


def _malformed(why: str) -> Malformed:
    return Malformed(what="the digest field", why=why)
