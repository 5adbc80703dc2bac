"""Stream passes: leave to send the sound of one call for a short while, checked without reading any state."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Final

from callvault.domain.errors import NotAuthenticated

PREFIX: Final = "cvpass_"
_PURPOSE: Final = b"callvault stream pass 1\0"
_LONGEST: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PassClaims:
    call_id: str
    issued_by: str
    """The API key that asked for it: it must still be good when the pass is used."""
    expires_s: int
    """The Unix second at which it is valid no more."""


def sign(claims: PassClaims, secret_id: str, secret: bytes) -> str:
    """`cvpass_<secret id>.<claims>.<mac>`."""
    words = "\0".join(map(str, astuple(claims)))
    signed = f"{PREFIX}{secret_id}.{_text(words.encode())}"
    return f"{signed}.{_mac(secret, signed)}"


def verify(token: str, secrets_by_id: Mapping[str, bytes], now_ms: int) -> PassClaims:
    """The claims of a token that one of the secrets signed and whose time is not over, else `NotAuthenticated`."""
    signed, _, mac = token.rpartition(".")
    secret_id, _, payload = signed.removeprefix(PREFIX).partition(".")
    secret = secrets_by_id.get(secret_id)
    if secret is None or len(token) > _LONGEST or not token.isascii():
        raise NotAuthenticated
    if not hmac.compare_digest(mac, _mac(secret, signed)):
        raise NotAuthenticated
    call_id, issued_by, expires_s = urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode().split("\0")
    claims = PassClaims(call_id=call_id, issued_by=issued_by, expires_s=int(expires_s))
    if now_ms >= claims.expires_s * 1000:
        raise NotAuthenticated
    return claims


def _mac(secret: bytes, signed: str) -> str:
    return _text(hmac.digest(secret, _PURPOSE + signed.encode(), "sha256"))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
