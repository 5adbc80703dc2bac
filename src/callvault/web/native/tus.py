"""tus 1.0: files that come in by parts and go on where they were cut off, with whatever tus client there is."""

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable
from email.utils import formatdate

from starlette.requests import Request

from callvault.domain.access import Action
from callvault.domain.errors import DigestMismatch, Malformed
from callvault.domain.upload import Upload
from callvault.services.uploads import ALGORITHMS, MOST_BYTES, Checksum
from callvault.web.auth import needs, public
from callvault.web.errors import HttpProblem
from callvault.web.native.lanes import named, whole
from callvault.web.native.problems import PROBLEMS
from callvault.web.parts import Handler, Hot
from callvault.web.responses import Answer, Headers, empty
from callvault.web.visit import Visit, visit_of

VERSION = "1.0.0"
EXTENSIONS = b"creation,termination,checksum,expiration"
CONTENT_TYPE = "application/offset+octet-stream"
METADATA_MAX = 4_000
CHECKSUM_MISMATCH = 460
ROOTS = ("/uploads", "/api/v1/uploads")


class NotTheseBytes(HttpProblem):
    """the bytes received do not have the checksum that was promised: send them again"""

    code = "digest_mismatch"


@public("what a server can do is no secret")
async def tell_capabilities(request: Request) -> Answer:
    headers: Headers = [
        (b"tus-resumable", VERSION.encode()),
        (b"tus-version", VERSION.encode()),
        (b"tus-extension", EXTENSIONS),
        (b"tus-max-size", b"%d" % MOST_BYTES),
        (b"tus-checksum-algorithm", ",".join(ALGORITHMS).encode()),
    ]
    return empty(204, headers)


@needs(Action.WRITE_SOUND)
async def create_upload(request: Request) -> Answer:
    visit = _speaking(request)
    told = request.headers.get("upload-metadata", "")
    facts, query = _metadata(told), request.query_params
    recording_id = facts.get("recordingId") or query.get("recordingId")
    if not recording_id:
        raise Malformed(what="Upload-Metadata", why="it names the recording as recordingId")
    if "upload-concat" in request.headers:
        raise Malformed(what="Upload-Concat", why="a piece of a file would be taken for all of it")
    if "upload-length" not in request.headers:
        raise Malformed(what="Upload-Length", why="the file's length must be known at its beginning")
    upload = await visit.services.uploads.begin(
        visit.caller,
        recording_id.lower(),
        whole("Upload-Length", request.headers["upload-length"]),
        channels=named(facts.get("channels") or query.get("channels")),
        media_type=facts.get("filetype", ""),
        metadata=told,
        complete=facts.get("complete") == "true",
    )
    where = f"{visit.base_url}{request.url.path.rstrip('/')}/{upload.id}"
    return empty(201, [(b"location", where.encode()), *_expiry(upload)])


@needs(Action.WRITE_SOUND)
async def show_upload(request: Request) -> Answer:
    visit = _speaking(request)
    upload = await visit.services.uploads.get(visit.caller, request.path_params["upload"])
    headers: Headers = [
        (b"upload-offset", b"%d" % upload.offset),
        (b"upload-length", b"%d" % upload.length),
        (b"cache-control", b"no-store"),
        *_expiry(upload),
    ]
    if upload.metadata:
        headers.append((b"upload-metadata", upload.metadata.encode("latin-1")))
    return empty(200, headers)


@needs(Action.WRITE_SOUND, body=None)
async def continue_upload(request: Request) -> Answer:
    visit, asked = _speaking(request), request.headers
    if asked.get("content-type", "").lower() != CONTENT_TYPE:
        raise HttpProblem(status=415, why=f"the Content-Type of a part is {CONTENT_TYPE}")
    try:
        upload = await visit.services.uploads.append(
            visit.caller,
            request.path_params["upload"],
            whole("Upload-Offset", asked.get("upload-offset", "")),
            request.stream(),
            _checksum(asked.get("upload-checksum")),
        )
    except DigestMismatch as mismatch:
        raise NotTheseBytes(status=CHECKSUM_MISMATCH, why=str(mismatch)) from None
    return empty(204, [(b"upload-offset", b"%d" % upload.offset), *_expiry(upload)])


@needs(Action.WRITE_SOUND)
async def terminate_upload(request: Request) -> Answer:
    visit = _speaking(request)
    await visit.services.uploads.terminate(visit.caller, request.path_params["upload"])
    return empty(204)


@needs(Action.WRITE_SOUND, body=None)
async def override_method(request: Request) -> Answer:
    """For clients behind something that lets POST through alone."""
    meant: dict[str, Callable[[Request], Awaitable[Answer]]] = {
        "PATCH": continue_upload,
        "DELETE": terminate_upload,
        "HEAD": show_upload,
    }
    method = request.headers.get("x-http-method-override", "").upper()
    if method not in meant:
        raise Malformed(what="X-HTTP-Method-Override", why=f"it is one of {', '.join(meant)}")
    return await meant[method](request)


def _speaking(request: Request) -> Visit:
    """The visit of a client that speaks our version; every answer to it says so."""
    visit = visit_of(request)
    visit.headers = [*visit.headers, (b"tus-resumable", VERSION.encode())]
    if request.headers.get("tus-resumable") != VERSION:
        visit.headers.append((b"tus-version", VERSION.encode()))
        raise HttpProblem(status=412, why=f"Tus-Resumable must be {VERSION}")
    return visit


def _metadata(header: str) -> dict[str, str]:
    if len(header) > METADATA_MAX:
        raise Malformed(what="Upload-Metadata", why=f"it has at most {METADATA_MAX} characters")
    pairs = [pair.strip().partition(" ") for pair in header.split(",") if pair.strip()]
    try:
        return {name: b64decode(value.strip(), validate=True).decode() for name, _, value in pairs}
    except ValueError:
        raise Malformed(what="Upload-Metadata", why="it is a list of names, each with a value in base64") from None


def _checksum(header: str | None) -> Checksum | None:
    if header is None:
        return None
    algorithm, _, digest = header.strip().partition(" ")
    try:
        return Checksum(algorithm, b64decode(digest, validate=True))
    except binascii.Error:
        raise Malformed(what="Upload-Checksum", why="it is an algorithm and a digest in base64") from None


def _expiry(upload: Upload) -> Headers:
    return [(b"upload-expires", formatdate(upload.expires_ms / 1000, usegmt=True).encode())]


_ABOUT = {
    "OPTIONS": "What this tus server can do",
    "POST": "Begin an upload: `Upload-Metadata` has recordingId, and may have channels, filetype and complete",
    "GET": "Where an upload stands; ask with HEAD",
    "PATCH": "Go on with an upload",
    "DELETE": "Give up an upload",
}


def _hot(method: str, path: str, handler: Handler, status: int, summary: str = "") -> Hot:
    docs = {
        "summary": summary or _ABOUT[method],
        "tags": ["uploads (tus 1.0)"],
        "operationId": f"{handler.__name__}_{method.lower()}_{path.strip('/').replace('/', '_')}",
        "responses": {str(status): {"description": "As tus 1.0 says."}, "default": PROBLEMS["default"]},
    }
    return Hot(method, path, handler, docs=docs)


HOT = tuple(
    hot
    for root in ROOTS
    for hot in (
        _hot("OPTIONS", root, tell_capabilities, 204),
        _hot("POST", root, create_upload, 201),
        _hot("OPTIONS", f"{root}/{{upload}}", tell_capabilities, 204),
        _hot("GET", f"{root}/{{upload}}", show_upload, 200),
        _hot("PATCH", f"{root}/{{upload}}", continue_upload, 204),
        _hot("DELETE", f"{root}/{{upload}}", terminate_upload, 204),
        _hot("POST", f"{root}/{{upload}}", override_method, 204, "The same by POST, with X-HTTP-Method-Override"),
    )
)
