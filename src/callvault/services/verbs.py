"""Verbs: all that can be done to a recording, under one name each."""

from dataclasses import dataclass

from callvault.ports.jobs import Duty, JobKind
from callvault.services.actions.compress import Compress
from callvault.services.actions.convert import Convert
from callvault.services.actions.merge import Merge
from callvault.services.actions.redact import Redact
from callvault.services.actions.trim import Trim
from callvault.services.versionfiles import VersionFiles


@dataclass(frozen=True, slots=True)
class Verbs:
    trim: Trim
    merge: Merge
    redact: Redact
    convert: Convert
    compress: Compress
    files: VersionFiles

    def kinds(self) -> list[JobKind]:
        return self.files.kinds()

    def duties(self) -> list[Duty]:
        return self.files.duties()
