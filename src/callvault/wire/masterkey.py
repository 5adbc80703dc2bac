"""Master keys as they are written: in hexadecimal, the one in use first, former ones behind it."""

import re

HEX = re.compile("[0-9a-fA-F]{64}")


def parse_master_keys(text: str) -> list[bytes]:
    """`ValueError`, which says what would be right, from anything else."""
    words = text.split()
    if not words or not all(map(HEX.fullmatch, words)):
        raise ValueError("64 hexadecimal digits, as 'openssl rand -hex 32' prints them")
    return [bytes.fromhex(word) for word in words]
