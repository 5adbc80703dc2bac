"""Identifiers, made from a time and random bytes that the caller brings."""

import re

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_48_BITS = (1 << 48) - 1
UUID = re.compile("[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
LANE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def uuid7(now_ms: int, randomness: bytes) -> str:
    """A time-ordered UUID (RFC 9562) from a Unix time and 10 random bytes."""
    digits = ((now_ms & _48_BITS).to_bytes(6, "big") + randomness[:10]).hex()
    variant = "89ab"[randomness[2] & 3]
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def token(randomness: bytes) -> str:
    """The bytes in letters and digits, about 1.34 characters a byte."""
    value, digits = int.from_bytes(b"\x01" + randomness, "big"), []
    while value:
        value, digit = divmod(value, 62)
        digits.append(_BASE62[digit])
    return "".join(digits)


def is_uuid(text: str) -> bool:
    return UUID.fullmatch(text) is not None
