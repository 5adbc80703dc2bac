"""`Content-Disposition` (RFC 6266) with file names in any script (RFC 8187), which no name can break out of."""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

_NAME_MAX: Final = 200
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
"""What breaks headers, names folders, or makes a name look like another one."""
_PLAIN: Final = re.compile(r"[^ !#$&+.^_`{}~0-9A-Za-z-]")
_ATTR_CHARS: Final = "!#$&+-.^_`|~"


def serialize(filename: str, *, attachment: bool) -> str:
    kind = "attachment" if attachment else "inline"
    name = safe_filename(filename)
    if not name:
        return kind
    plain = _PLAIN.sub("_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()).strip()
    if plain == name:
        return f'{kind}; filename="{name}"'
    if not plain.strip("."):
        plain = "download"
    elif plain.startswith("."):
        plain = f"download{plain}"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def safe_filename(name: str) -> str:
    """A name that is one file in one folder on any system, its ending kept; empty when nothing of it is left."""
    clean = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip(" .")
    stem, dot, ending = clean.rpartition(".")
    if len(clean) <= _NAME_MAX or len(ending) > 10:
        return clean[:_NAME_MAX]
    return stem[: _NAME_MAX - len(ending) - 1] + dot + ending
