"""The console's files, read once and served from memory under a policy that lets nothing else in."""

import hashlib
import mimetypes
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request

from callvault.domain.errors import Missing
from callvault.web.auth import public
from callvault.web.responses import Answer, bytes_answer, empty, redirect

FOLDER: Final = Path(__file__).parent / "static"
WHY: Final = "the console is the same for everybody: what it shows is asked for with a key"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "connect-src 'self'; media-src 'self' https:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Sound may come from the object store itself, by links of its own."""


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: bytes
    etag: bytes


def _read(path: Path) -> _File:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    return _File(body, f"{kind}{charset}".encode(), b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode())


FILES: Final = {str(path.relative_to(FOLDER)): _read(path) for path in FOLDER.rglob("*") if path.is_file()}


@public(WHY)
async def index(request: Request) -> Answer:
    nonce = secrets.token_urlsafe(16)
    body = FILES["index.html"].body.replace(b"{{nonce}}", nonce.encode())
    policy = POLICY.format(nonce=nonce).encode()
    headers = [(b"content-security-policy", policy), (b"cache-control", b"no-store")]
    return bytes_answer(body, b"text/html; charset=utf-8", headers=headers)


@public(WHY)
async def file(request: Request) -> Answer:
    found = FILES.get(request.path_params["name"])
    if found is None:
        raise Missing(what="page")
    headers = [(b"etag", found.etag), (b"cache-control", b"no-cache")]
    if request.headers.get("if-none-match") == found.etag.decode():
        return empty(304, headers)
    return bytes_answer(found.body, found.media_type, headers=headers)


@public(WHY)
async def vendored(request: Request) -> Answer:
    request.path_params["name"] = f"vendor/{request.path_params['name']}"
    return await file(request)


@public(WHY)
async def home(request: Request) -> Answer:
    return redirect("/ui/", 307)
