"""Media types of sound, as senders spell them, to how the bytes are decoded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from callvault.domain.errors import Malformed

RATE_MIN: Final = 4_000
RATE_MAX: Final = 192_000
CHANNELS_MAX: Final = 32

OF_FORMAT: Final = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "flac": "audio/flac",
}
"""The media types under which we hand out sound."""

_FILE: Final = ("wav", "wave", "ogg", "opus", "mpeg", "mp3", "mp4", "m4a", "aac", "flac", "webm", "aiff", "amr", "3gpp")
FILES: Final = (*(f"audio/{name}" for name in _FILE), "application/ogg", "video/webm")
"""The media types of files that are taken."""
_KNOWN_FILES: Final = {*FILES, *(f"audio/{prefix}{name}" for prefix in ("x-", "vnd.") for name in _FILE)}
_RAW: Final = {
    "audio/pcmu": "pcmu",
    "audio/x-mulaw": "pcmu",
    "audio/basic": "pcmu",
    "audio/pcma": "pcma",
    "audio/x-alaw": "pcma",
    "audio/l16": "l16",
    "audio/g722": "g722",
}
RAW: Final = (*_RAW, "audio/x-raw")
"""Those of sound without a container, which may say more as parameters."""
_X_RAW: Final = {"s16le": "s16le", "s16be": "l16"}
_USUAL_RATE: Final = {"pcmu": 8000, "pcma": 8000, "g722": 8000}
_LONGEST: Final = 256

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_ESSENCE: Final = re.compile(rf"\s*({_WORD}/{_WORD})\s*")
_PARAMETER: Final = re.compile(rf';\s*(?:({_WORD})=(?:({_WORD})|"((?:[^"\\]|\\.)*)"))?\s*')


@dataclass(frozen=True, slots=True)
class MediaType:
    codec: str
    """As in `Piece.codec`: `pcmu`, `pcma`, `l16`, `s16le`, `g722`, or `file` for a container that tells itself."""
    rate: int = 0
    """Samples a second that are heard, which for G.722 is twice what its RTP clock says; 0 for a file."""
    channels: int = 0
    """0 for a file."""


FILE: Final = MediaType("file")


@lru_cache(64)
def parse(text: str) -> MediaType:
    essence, parameters = _split(text)
    if essence in _KNOWN_FILES:
        return FILE
    codec = _X_RAW.get(parameters.get("format", "").lower()) if essence == "audio/x-raw" else _RAW.get(essence)
    if codec is None:
        raise _malformed("it names no sound that is taken")
    return MediaType(codec, _rate(codec, parameters), _number(parameters, "channels", 1, 1, CHANNELS_MAX))


def serialize(media: MediaType) -> str:
    if media.codec == "file":
        return "application/octet-stream"
    clock = media.rate // 2 if media.codec == "g722" else media.rate
    form = "audio/x-raw;format=S16LE" if media.codec == "s16le" else f"audio/{media.codec.upper()}"
    return f"{form};rate={clock};channels={media.channels}"


def _split(text: str) -> tuple[str, Mapping[str, str]]:
    found = _ESSENCE.match(text) if len(text) <= _LONGEST else None
    if found is None:
        raise _malformed("it is no media type")
    parameters: dict[str, str] = {}
    at = found.end()
    while at < len(text):
        part = _PARAMETER.match(text, at)
        if part is None or (part[1] or "").lower() in parameters:
            raise _malformed("its parameters cannot be read")
        if part[1]:
            parameters[part[1].lower()] = part[2] if part[3] is None else re.sub(r"\\(.)", r"\1", part[3])
        at = part.end()
    return found[1].lower(), parameters


def _rate(codec: str, parameters: Mapping[str, str]) -> int:
    if codec in ("l16", "s16le") and "rate" not in parameters:
        raise _malformed("the rate is missing")
    rate = _number(parameters, "rate", _USUAL_RATE.get(codec, 0), RATE_MIN, RATE_MAX)
    if codec != "g722":
        return rate
    # RFC 3551 kept an old mistake: the clock of G.722 says 8000 while its samples are 16000 a second.
    if rate not in (8000, 16000):
        raise _malformed("G.722 has a clock of 8000")
    return 16000


def _number(parameters: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
        raise _malformed(f"the {name} is not between {least} and {most}")
    return int(text)


def _malformed(why: str) -> Malformed:
    return Malformed(what="the media type", why=why)
