"""Identifiers, made from a time and random bytes that the caller brings."""

import re

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_128_BITS = (1 << 128) - 1
UUID = re.compile("[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
LANE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def uuid7(now_ms: int, randomness: bytes) -> str:
    """A time-ordered UUID (RFC 9562) from a Unix time and 10 random bytes."""
    value = now_ms << 80 | int.from_bytes(randomness[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value & _128_BITS:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def token(randomness: bytes) -> str:
    """The bytes in letters and digits, about 1.34 characters a byte."""
    value, digits = int.from_bytes(b"\x01" + randomness, "big"), []
    while value:
        value, digit = divmod(value, 62)
        digits.append(_BASE62[digit])
    return "".join(digits)


def is_uuid(text: str) -> bool:
    return UUID.fullmatch(text) is not None
