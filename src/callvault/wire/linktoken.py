"""Link tokens: what a signed link grants, checked without reading any state."""

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from callvault.domain.errors import LinkExpired, LinkInvalid

_PURPOSE: Final = b"callvault link 1\0"
_MAC: Final = 36
"""Digits of the mac: 144 bits are enough against guessing."""
_FIXED: Final = struct.Struct(">QIIB8s")
_ATTACHMENT: Final = 1
_LIVE: Final = 2
_ORIGINALS: Final = 4
_LONGEST: Final = 4096


class LinkClaims(NamedTuple):
    """What a link lets its bearer fetch."""

    recording_id: str
    what: str
    """Which view, or which artifact: `stereo`, `lane:agent`, `pcap` ..."""
    nonce: bytes
    """Eight random bytes, by which two who ask for the same get links of their own."""
    expires_s: int
    """The Unix second at which it is valid no more."""
    format: str = ""
    """That of the view; none for an artifact."""
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


def sign(claims: LinkClaims, key_id: str, secret: bytes) -> tuple[str, str]:
    """The token, `<key id>.<claims>.<mac>`, safe in a URL's path where the key id is of letters, digits, `-` and `_`.
    And the link's id, by which it is told of: it comes with the mac, and is no help to whoever wants to make one up."""
    signed = f"{key_id}.{urlsafe_b64encode(_serialize(claims)).rstrip(b'=').decode()}"
    if len(signed) + 1 + _MAC > _LONGEST:
        raise ValueError("the claims are too long for a link")
    mac, link_id = _mac(secret, signed)
    return f"{signed}.{mac}", link_id


def verify(token: str, secrets_by_id: Mapping[str, bytes], now_ms: int) -> tuple[LinkClaims, str]:
    """The claims of a token that one of the secrets signed, and the link's id; `LinkInvalid` or, past its time,
    `LinkExpired`."""
    signed, _, mac = token.rpartition(".")
    key_id, _, payload = signed.partition(".")
    secret = secrets_by_id.get(key_id)
    if secret is None or len(token) > _LONGEST or not token.isascii():
        raise LinkInvalid
    right, link_id = _mac(secret, signed)
    if not hmac.compare_digest(mac, right):
        raise LinkInvalid
    claims = _parse(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if now_ms >= claims.expires_s * 1000:
        raise LinkExpired
    return claims, link_id


def _mac(secret: bytes, signed: str) -> tuple[str, str]:
    """The mac, and the link's id: two parts of one digest."""
    keyed = _keyed(secret).copy()
    keyed.update(signed.encode())
    digest = keyed.hexdigest()
    return digest[:_MAC], digest[_MAC:]


@lru_cache(16)
def _keyed(secret: bytes) -> hmac.HMAC:
    """To take in a key costs as much as to take in a link."""
    return hmac.new(secret, _PURPOSE, "sha256")


def _serialize(claims: LinkClaims) -> bytes:
    flags = claims.attachment * _ATTACHMENT | claims.live * _LIVE | claims.originals * _ORIGINALS
    words = "\0".join((claims.recording_id, claims.what, claims.format, claims.filename))
    if words.count("\0") != 3:
        raise ValueError("a NUL in a claim")
    fixed = _FIXED.pack(claims.expires_s, claims.link_epoch, claims.rate, flags, claims.nonce)
    return fixed + words.encode(errors="replace")


def _parse(data: bytes) -> LinkClaims:
    """Only what `_serialize` made comes here: the mac was checked."""
    expires_s, epoch, rate, flags, nonce = _FIXED.unpack_from(data)
    recording_id, what, format, filename = data[_FIXED.size :].decode().split("\0")
    return LinkClaims(
        recording_id=recording_id,
        what=what,
        nonce=nonce,
        format=format,
        rate=rate,
        attachment=bool(flags & _ATTACHMENT),
        live=bool(flags & _LIVE),
        originals=bool(flags & _ORIGINALS),
        filename=filename,
        expires_s=expires_s,
        link_epoch=epoch,
    )
