"""What an object store's refusal means, without its words: they hold addresses, signatures and half a page of XML."""

import re

from obstore.exceptions import AlreadyExistsError, PermissionDeniedError, PreconditionError, UnauthenticatedError

from callvault.domain.errors import BlobExists, BlobMissing, BlobsUnavailable, Fault, Misconfigured

NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
PASSING = {"408", "409", "425", "429"}
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")


def fault(error: Exception, key: str) -> Fault:
    status, code = _found(_STATUS, error), _found(_CODE, error)
    said = f"{status} {code}".strip() or "no answer"
    if isinstance(error, AlreadyExistsError | PreconditionError):
        return BlobExists(key=key)
    if code in NO_BUCKET:
        return Misconfigured(problems=f"the storage has no such bucket ({said}): make it, or mend the storage's URL")
    if isinstance(error, FileNotFoundError):
        return BlobMissing(key=key)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or status in {"401", "403"}:
        return Misconfigured(problems=f"the storage refuses the credentials, or what was asked with them ({said})")
    if status[:1] in {"3", "4"} and status not in PASSING:
        return Misconfigured(problems=f"the storage does not take the request ({said}): is its URL right?")
    return BlobsUnavailable(why=said)


def is_beyond_the_end(error: Exception) -> bool:
    """The object ends before the range begins."""
    return _found(_STATUS, error) == "416"


def _found(pattern: re.Pattern[str], error: Exception) -> str:
    found = pattern.search(str(error)[:4000])
    return found.group(1) if found else ""
