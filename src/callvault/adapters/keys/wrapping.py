"""One 32-byte key wrapped by another: AES-256-GCM, bound to what it is for."""

import secrets
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE = 12


def wrap(by: AESGCM, key: bytes, context: bytes) -> str:
    nonce = secrets.token_bytes(NONCE)
    return b64encode(nonce + by.encrypt(nonce, key, context)).decode()


def unwrap(by: AESGCM, wrapped: str, context: bytes) -> bytes | None:
    """None when it is not what was wrapped by this key for this."""
    try:
        sealed = b64decode(wrapped, validate=True)
        return by.decrypt(sealed[:NONCE], sealed[NONCE:], context)
    except (ValueError, InvalidTag):
        return None
