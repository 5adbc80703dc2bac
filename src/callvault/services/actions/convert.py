"""Convert: a version whose file is of another format, rate, or number of channels."""

from callvault.domain.access import Caller
from callvault.domain.recording import Recording
from callvault.services.versionfiles import FileWanted, VersionFiles


class Convert:
    def __init__(self, files: VersionFiles) -> None:
        self._files = files

    async def __call__(
        self, caller: Caller, recording_id: str, version_id: str, *, format: str, rate: int = 0, channels: int = 0
    ) -> Recording:
        """What nobody asks for is as good as it is there."""
        wanted = FileWanted(operation="convert", format=format, rate=rate, channels=channels)
        return await self._files.begin(caller, recording_id, version_id, wanted)
