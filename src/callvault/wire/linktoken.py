"""Link tokens: what a signed link grants, checked without reading any state."""

import hmac
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from callvault.domain.errors import LinkExpired, LinkInvalid

_PURPOSE: Final = b"callvault link 1\0"
_MAC_BYTES: Final = 18
"""144 bits: enough against guessing, and a whole number of base64 quads, so that no other spelling verifies."""
_FIXED: Final = struct.Struct(">QIIB")
_ATTACHMENT: Final = 1
_LIVE: Final = 2
_ORIGINALS: Final = 4
_UUID: Final = 0xFF
_UUID_TEXT: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONGEST: Final = 4096


class LinkClaims(NamedTuple):
    """What a link lets its bearer fetch."""

    workspace_id: str
    recording_id: str
    link_id: str
    minted_by: str
    """The API key, or whoever else asked for the link: for the audit."""
    kind: str
    """`view`, `rendition` or `artifact`."""
    what: str
    """Which one: `stereo`, `lane:agent`, `pcap` ..."""
    expires_s: int
    """The Unix second at which it is valid no more."""
    format: str = ""
    rate: int = 0
    """0 leaves the rate as it is."""
    attachment: bool = False
    """Whether a browser shall save it instead of playing it."""
    live: bool = False
    """Whether what is there so far is handed out while the recording is in progress."""
    originals: bool = False
    """Whether the original is handed out even when a redacted version exists."""
    filename: str = ""
    link_epoch: int = 0


def sign(claims: LinkClaims, key_id: str, secret: bytes) -> str:
    """`<key id>.<claims>.<mac>`, safe in a URL's path; the key id is of letters, digits, `-` and `_`."""
    signed = f"{key_id}.{_text(_serialize(claims))}"
    if len(signed) + 1 + _MAC_BYTES * 4 // 3 > _LONGEST:
        raise ValueError("the claims are too long for a link")
    return f"{signed}.{_mac(secret, signed)}"


def verify(token: str, secrets_by_id: Mapping[str, bytes], now_ms: int) -> LinkClaims:
    """The claims of a token that one of the secrets signed; `LinkInvalid` or, past its time, `LinkExpired`."""
    signed, _, mac = token.rpartition(".")
    key_id, _, payload = signed.partition(".")
    secret = secrets_by_id.get(key_id)
    if secret is None or len(token) > _LONGEST or not token.isascii():
        raise LinkInvalid
    if not hmac.compare_digest(mac, _mac(secret, signed)):
        raise LinkInvalid
    claims = _parse(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if now_ms >= claims.expires_s * 1000:
        raise LinkExpired
    return claims


def _mac(secret: bytes, signed: str) -> str:
    mac = _keyed(secret).copy()
    mac.update(signed.encode())
    return _text(mac.digest()[:_MAC_BYTES])


@lru_cache(16)
def _keyed(secret: bytes) -> hmac.HMAC:
    """To take in a key costs as much as to take in a link."""
    return hmac.new(secret, _PURPOSE, "sha256")


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _serialize(claims: LinkClaims) -> bytes:
    flags = claims.attachment * _ATTACHMENT | claims.live * _LIVE | claims.originals * _ORIGINALS
    fixed = _FIXED.pack(claims.expires_s, claims.link_epoch, claims.rate, flags)
    ids = (claims.workspace_id, claims.recording_id, claims.link_id, claims.minted_by)
    words = "\0".join((claims.kind, claims.what, claims.format, claims.filename))
    if words.count("\0") != 3:
        raise ValueError("a NUL in a claim")
    return fixed + b"".join(map(_pack_id, ids)) + words.encode(errors="replace")


def _parse(data: bytes) -> LinkClaims:
    """Only what `_serialize` made comes here: the mac was checked."""
    expires_s, epoch, rate, flags = _FIXED.unpack_from(data)
    workspace_id, at = _unpack_id(data, _FIXED.size)
    recording_id, at = _unpack_id(data, at)
    link_id, at = _unpack_id(data, at)
    minted_by, at = _unpack_id(data, at)
    kind, what, format, filename = data[at:].decode().split("\0")
    return LinkClaims(
        workspace_id=workspace_id,
        recording_id=recording_id,
        link_id=link_id,
        minted_by=minted_by,
        kind=kind,
        what=what,
        format=format,
        rate=rate,
        attachment=bool(flags & _ATTACHMENT),
        live=bool(flags & _LIVE),
        originals=bool(flags & _ORIGINALS),
        filename=filename,
        expires_s=expires_s,
        link_epoch=epoch,
    )


@lru_cache(1024)
def _pack_id(text: str) -> bytes:
    if _UUID_TEXT.fullmatch(text):
        return bytes([_UUID]) + bytes.fromhex(text.replace("-", ""))
    raw = text.encode()
    if len(raw) >= _UUID:
        raise ValueError("an identifier of 255 bytes or more")
    return bytes([len(raw)]) + raw


def _unpack_id(data: bytes, at: int) -> tuple[str, int]:
    length = data[at]
    if length != _UUID:
        return data[at + 1 : at + 1 + length].decode(), at + 1 + length
    digits = data[at + 1 : at + 17].hex()
    text = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return text, at + 17
