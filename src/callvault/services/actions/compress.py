"""Compress: a version whose file is smaller, at a price that is told."""

from typing import Final

from callvault.domain.access import Caller
from callvault.domain.errors import Malformed
from callvault.domain.recording import Recording
from callvault.services.versionfiles import SHARES, FileWanted, VersionFiles

FORMATS: Final = ("mp3", "ogg", "m4a")
BITS_MIN: Final = 8_000
BITS_MAX: Final = 320_000


class Compress:
    def __init__(self, files: VersionFiles) -> None:
        self._files = files

    async def __call__(
        self,
        caller: Caller,
        recording_id: str,
        version_id: str,
        *,
        quality: str = "medium",
        bits: int = 0,
        format: str = "mp3",
        channels: int = 0,
    ) -> Recording:
        """With as many bits a second as are asked for, or as many as go with the quality."""
        if quality not in SHARES:
            raise Malformed(what="quality", why=f"it is one of {', '.join(SHARES)}")
        if format not in FORMATS:
            raise Malformed(what="format", why=f"it is one of {', '.join(FORMATS)}: others lose nothing")
        if bits and not BITS_MIN <= bits <= BITS_MAX:
            raise Malformed(what="bitrate", why=f"it is {BITS_MIN // 1000} to {BITS_MAX // 1000} kbps")
        share = SHARES[quality]
        wanted = FileWanted(operation="compress", format=format, channels=channels, bits=bits, share=share)
        return await self._files.begin(caller, recording_id, version_id, wanted)
