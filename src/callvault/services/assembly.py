"""Assembly: the job that takes in a file that was uploaded by parts, and completes its recording if that was asked."""

from callvault.domain.access import SYSTEM
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.recording import Recording
from callvault.domain.stored import Artifact
from callvault.domain.upload import Upload
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from callvault.services.ingest.completion import Completion
from callvault.services.ingest.files import MIXED, SOURCE, FiledSound, Files
from callvault.services.stale import again_when_stale
from callvault.services.uploads import ASSEMBLE, Uploads


class Assembly:
    def __init__(self, store: Store, uploads: Uploads, files: Files, completion: Completion) -> None:
        self._store, self._uploads, self._files, self._completion = store, uploads, files, completion

    def kinds(self) -> list[JobKind]:
        return [JobKind(ASSEMBLE, self.run, at_once=2)]

    async def run(self, job: Job, progress: Progress) -> dict[str, Json]:
        """Done again, it finds the same file there already. A file that is no sound fails the job; its parts stay
        until the upload expires."""
        upload = await self._store.get(Upload, str(job.arguments["upload"]))
        if upload is None or upload.taken_ms is not None:
            # An earlier run was cut off behind its last step.
            return {}
        result: dict[str, Json] = {}
        if not await self._is_in(upload):
            filed = await self._file(upload)
            result = {"lanes": [*filed.lanes], "rate": filed.rate, "samples": filed.samples, "damage": filed.damage}
        await self._settle(upload.id)
        return result

    @again_when_stale
    async def _settle(self, upload_id: str) -> None:
        """Completes the recording if that was asked, at the upload's beginning or while its file was taken in."""
        upload = await self._store.get(Upload, upload_id)
        if upload is None or upload.taken_ms is not None:
            return
        if upload.complete:
            await self._completion.complete(SYSTEM, upload.recording_id)
        await self._uploads.taken_in(upload)

    async def _is_in(self, upload: Upload) -> bool:
        """Whether an earlier run has taken it in and then completed the recording, which takes no file any more."""
        recording = await self._store.get(Recording, upload.recording_id)
        source = await self._store.get(Artifact, upload.recording_id, SOURCE)
        ended = recording is not None and not recording.in_progress
        return ended and source is not None and source.size == upload.length

    async def _file(self, upload: Upload) -> FiledSound:
        with await self._uploads.parts.open(upload) as source:
            return await self._files.put(
                SYSTEM,
                upload.recording_id,
                source,
                channels=upload.channels or (MIXED,),
                media_type=upload.media_type or "application/octet-stream",
            )
