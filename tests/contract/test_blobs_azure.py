"""Azure's signed URLs, asked of Microsoft's own emulator."""

import os
import time
from dataclasses import dataclass

import httpx
import pytest

from callvault.adapters.blobs.opening import open_blobs, open_presigner
from callvault.domain.errors import BlobMissing, Misconfigured
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs, Presigning
from tests.servers_azure import AzureServer, azure_server  # noqa: F401

SOUND = os.urandom(100_000)
DISPOSITION = 'inline; filename="call 1.wav"'


@dataclass(frozen=True)
class Box:
    url: str
    blobs: Blobs
    presigner: Presigning

    def signed(self, obj: StoredObject, ago: int = 0) -> str:
        now_ms = int((time.time() - ago) * 1000)
        return self.presigner.presign(obj, seconds=60, now_ms=now_ms, media_type="audio/wav", disposition=DISPOSITION)


@pytest.fixture
def box(azure_server: AzureServer) -> Box:  # noqa: F811
    url = azure_server.url(f"p{os.urandom(6).hex()}/deeper")
    presigner = open_presigner(url, azure_server.credentials)
    assert presigner
    return Box(url, open_blobs(url, azure_server.credentials), presigner)


def test_a_signed_url_gives_the_object_out_at_the_public_address(box: Box) -> None:
    url = box.signed(box.blobs.put("w/r/a=b", [SOUND]))
    assert url.startswith("http://localhost:")
    answer = httpx.get(url)
    assert (answer.status_code, answer.content) == (200, SOUND)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["content-disposition"] == DISPOSITION


def test_the_same_url_answers_ranges_and_head(box: Box) -> None:
    url = box.signed(box.blobs.put("w/r/x", [SOUND]))
    part = httpx.get(url, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, SOUND[5:10])
    head = httpx.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(SOUND)))
    assert head.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize(("part", "other"), [("w/r/x", "w/r/y"), ("audio%2Fwav", "text%2Fhtml"), ("sp=r", "sp=rw")])
def test_a_url_that_was_tampered_with_is_refused(box: Box, part: str, other: str) -> None:
    box.blobs.put("w/r/y", [b"another's"])
    url = box.signed(box.blobs.put("w/r/x", [SOUND]))
    assert part in url
    assert httpx.get(url.replace(part, other)).status_code == 403


def test_an_expired_url_is_refused(box: Box) -> None:
    obj = box.blobs.put("w/r/x", [SOUND])
    assert httpx.get(box.signed(obj, ago=30)).status_code == 200
    assert httpx.get(box.signed(obj, ago=62)).status_code == 403


def test_a_container_that_is_not_there_is_not_an_object_that_is_not_there(
    box: Box,
    azure_server: AzureServer,  # noqa: F811
) -> None:
    absent = StoredObject(key="w/r/x", size=3, sha256="")
    with pytest.raises(BlobMissing):
        box.blobs.read(absent)
    elsewhere = open_blobs(box.url.replace("recordings", "nowhere"), azure_server.credentials)
    for do in (lambda: elsewhere.put("w/r/x", [b"x"]), lambda: elsewhere.read(absent)):
        with pytest.raises(Misconfigured, match="no such bucket"):
            do()


def test_a_wrong_key_is_the_operator_s_to_mend(box: Box) -> None:
    with pytest.raises(Misconfigured, match="refuses the credentials"):
        open_blobs(box.url, {"account_key": "AAAA"}).put("w/r/x", [b"x"])
