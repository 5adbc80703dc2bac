"""What can go wrong, as facts: each error's docstring is its message, its family says who can mend it."""

from typing import ClassVar, Final


class Fault(Exception):
    """something went wrong"""

    code: ClassVar[str] = "fault"

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(" ".join((type(self).__doc__ or "").split()).format_map(_Facts(facts)))

    def outside(self) -> "Fault":
        """As it is told to who is not of the house: without names of folders, hosts and keys."""
        if isinstance(self, CallerFault) or self.facts.keys().isdisjoint(_INSIDE):
            return self
        return type(self)(**{name: "…" if name in _INSIDE else fact for name, fact in self.facts.items()})


_INSIDE = frozenset({"key", "path", "problems", "why"})


class _Facts(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return name


class CallerFault(Fault):
    """the caller asked for what cannot be done"""

    code = "bad_request"


class OperatorFault(Fault):
    """the operator must mend something"""

    code = "operator_needed"


class PassingFault(Fault):
    """it will pass: try again later"""

    code = "try_again"


# -- the caller's ------------------------------------------------------------------------------


class Malformed(CallerFault):
    """{what} is malformed: {why}"""

    code = "malformed"


class TooLarge(CallerFault):
    """{what} is larger than the {limit} that are taken"""

    code = "too_large"


class NotAuthenticated(CallerFault):
    """a valid API key is needed"""

    code = "unauthorized"


class Refused(CallerFault):
    """{why}"""

    code = "forbidden"


class Missing(CallerFault):
    """there is no such {what}"""

    code = "not_found"


class NoRecording(Missing):
    """this call has no recording"""


class RecordingDisabled(CallerFault):
    """recording is turned off for this workspace"""

    code = "recording_disabled"


class CallUnrecorded(RecordingDisabled):
    """no sound of this call is stored: it was announced so"""


class ArtifactUnkept(RecordingDisabled):
    """no {kind} may be stored of this call: it was announced so"""


class RecordingInProgress(CallerFault):
    """the recording is still in progress: ask with live=1 for what is there so far"""

    code = "recording_in_progress"


class RecordingExpired(CallerFault):
    """the recording has expired: its sound is not handed out any more"""

    code = "recording_expired"


class RecordingEnded(CallerFault):
    """the recording has ended and takes no more sound"""

    code = "recording_ended"


class TakeConflict(CallerFault):
    """take {n} of lane {lane} is stored already with different bytes, or at another start"""

    code = "take_conflict"


class DigestMismatch(CallerFault):
    """the bytes received do not have the digest that was promised"""

    code = "digest_mismatch"


class IdempotencyConflict(CallerFault):
    """this Idempotency-Key was used before with another request"""

    code = "idempotency_conflict"


class LinkInvalid(CallerFault):
    """the link is not valid"""

    code = "link_invalid"


class LinkExpired(CallerFault):
    """the link has expired: ask for a fresh one"""

    code = "link_expired"


class OnHold(CallerFault):
    """a legal hold keeps this recording"""

    code = "on_hold"


class UploadMisplaced(CallerFault):
    """the upload stands at byte {offset}: go on from there"""

    code = "upload_offset_conflict"


class AlreadyThere(CallerFault):
    """there is such a {what} already"""

    code = "already_exists"


class NotImplementedYet(CallerFault):
    """{what} is not implemented"""

    code = "not_implemented"


# -- the operator's ----------------------------------------------------------------------------


class BlobMissing(OperatorFault):
    """object {key} is not in storage although the database names it: run 'callvault verify'"""

    code = "blob_missing"


class BlobCorrupt(OperatorFault):
    """object {key} does not open: {why}; restore it from a copy and run 'callvault verify'"""

    code = "blob_corrupt"


class BlobExists(OperatorFault):
    """object {key} exists already and objects are never overwritten"""

    code = "blob_exists"


class KeyUnavailable(OperatorFault):
    """the encryption key {key} cannot be had: {why}"""

    code = "key_unavailable"


class StoreTooNew(OperatorFault):
    """the database is at revision {revision}, which this program does not know: run the newer callvault"""

    code = "store_too_new"


class StoreDamaged(OperatorFault):
    """the database {why}: stop callvault and restore it from a backup"""

    code = "store_damaged"


class Misconfigured(OperatorFault):
    """{problems}"""

    code = "misconfigured"


class WorkStopped(OperatorFault):
    """{what} has stopped: the log tells why, and callvault must be restarted"""

    code = "work_stopped"


class SpeechMissing(OperatorFault):
    """{what} needs the extra '{extra}': install callvault[{extra}]"""

    code = "extra_missing"


# -- time's ------------------------------------------------------------------------------------


class StoreUnavailable(PassingFault):
    """the database does not answer: {why}"""

    code = "store_unavailable"


class BlobsUnavailable(PassingFault):
    """the storage does not answer: {why}"""

    code = "storage_unavailable"


class DiskFull(PassingFault):
    """the disk that takes in sound is full: free space under {path}"""

    code = "disk_full"


class StaleWrite(PassingFault):
    """{what} was changed by somebody else in the meantime"""

    code = "stale_write"


UNDONE: Final = (CallerFault, StaleWrite, DiskFull)
"""With one of these a commit says that nothing of it happened. With any other failure, or when nobody waited for its
end, it may have: then what it speaks of must stay where it is."""


class RequestUnderWay(PassingFault):
    """the first request with this Idempotency-Key has no answer yet"""

    code = "request_under_way"


class TooManyRequests(PassingFault):
    """too many requests: slow down"""

    code = "rate_limited"


class ShuttingDown(PassingFault):
    """the server is shutting down"""

    code = "shutting_down"
