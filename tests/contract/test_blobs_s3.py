"""What only an object store can do, asked of a real one: give out signed URLs, be away, and die in the middle."""

import hashlib
import os
import time
from collections.abc import Iterator

import httpx
import pytest
from obstore.store import S3Store

from callvault.adapters.blobs.objectstore import ObjectStoreBlobs
from callvault.adapters.blobs.opening import open_blobs, open_presigner
from callvault.adapters.blobs.retrying import RetryingBlobs
from callvault.domain.errors import BlobMissing, BlobsUnavailable, Misconfigured
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs, Presigning
from callvault.wire.sigv4 import AwsSigner, presign
from tests.servers_s3 import S3Server

SOUND = os.urandom(200_000)
MIB = 2**20
ABSENT = StoredObject(key="w/r/absent", size=3, sha256="")
DISPOSITION = "attachment; filename=\"call 1.wav\"; filename*=UTF-8''call%201.wav"


@pytest.fixture
def url(s3_server: S3Server, request: pytest.FixtureRequest) -> str:
    return s3_server.url("p" + hashlib.sha256(request.node.nodeid.encode() + os.urandom(8)).hexdigest()[:12])


@pytest.fixture
def blobs(s3_server: S3Server, url: str) -> Blobs:
    return open_blobs(url, s3_server.credentials)


@pytest.fixture
def presigner(s3_server: S3Server, url: str) -> Presigning:
    presigner = open_presigner(url, s3_server.credentials)
    assert presigner
    return presigner


def signed(presigner: Presigning, obj: StoredObject, *, seconds: int = 60, ago: int = 0, method: str = "GET") -> str:
    now_ms = int((time.time() - ago) * 1000)
    shown = {"media_type": "audio/wav", "disposition": DISPOSITION}
    return presigner.presign(obj, seconds=seconds, now_ms=now_ms, method=method, **shown)


def test_a_signed_url_gives_the_object_out_at_the_public_address(
    s3_server: S3Server, blobs: Blobs, presigner: Presigning
) -> None:
    url = signed(presigner, blobs.put("w/r/x", [SOUND]))
    assert url.startswith(f"{s3_server.public_endpoint}/recordings/")
    answer = httpx.get(url)
    assert (answer.status_code, answer.content) == (200, SOUND)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["content-disposition"] == DISPOSITION
    assert answer.headers["content-length"] == str(len(SOUND))


def test_a_signed_url_answers_ranges(blobs: Blobs, presigner: Presigning) -> None:
    url = signed(presigner, blobs.put("w/r/x", [SOUND]))
    answer = httpx.get(url, headers={"Range": "bytes=1000-1999"})
    assert (answer.status_code, answer.content) == (206, SOUND[1000:2000])
    assert answer.headers["content-range"] == f"bytes 1000-1999/{len(SOUND)}"
    assert answer.headers["content-type"] == "audio/wav"
    assert httpx.get(url, headers={"Range": "bytes=-5"}).content == SOUND[-5:]


def test_a_url_signed_for_head_answers_head(blobs: Blobs, presigner: Presigning) -> None:
    answer = httpx.head(signed(presigner, blobs.put("w/r/x", [SOUND]), method="HEAD"))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(SOUND))
    assert answer.headers["content-type"] == "audio/wav"


def test_names_of_every_character_can_be_signed(blobs: Blobs, presigner: Presigning) -> None:
    obj = blobs.put("w/r/a=b+c-d_e.f", [b"x"])
    assert httpx.get(signed(presigner, obj)).content == b"x"


def test_the_bucket_may_stand_in_the_host_s_name(s3_server: S3Server, blobs: Blobs, url: str) -> None:
    obj = blobs.put("w/r/x", [SOUND])
    by_host = url.replace("path_style=true", "path_style=false")
    by_host = by_host.replace("public_endpoint=http://localhost", "public_endpoint=http://s3.test")
    presigner = open_presigner(by_host, s3_server.credentials)
    assert presigner
    address = signed(presigner, obj)
    host, _, rest = address.removeprefix("http://").partition("/")
    assert host == f"recordings.s3.test:{s3_server.port}"
    answer = httpx.get(f"{s3_server.endpoint}/{rest}", headers={"Host": host})
    assert (answer.status_code, answer.content) == (200, SOUND)


@pytest.mark.parametrize(
    ("part", "other"),
    [("w/r/x", "w/r/y"), ("audio%2Fwav", "text%2Fhtml"), ("Expires=60", "Expires=600"), ("call%201", "call%202")],
)
def test_a_url_that_was_tampered_with_is_refused(blobs: Blobs, presigner: Presigning, part: str, other: str) -> None:
    blobs.put("w/r/y", [b"another's"])
    url = signed(presigner, blobs.put("w/r/x", [SOUND]))
    assert part in url
    answer = httpx.get(url.replace(part, other))
    assert answer.status_code == 403
    assert SOUND[:100] not in answer.content


def test_a_url_for_another_address_is_refused(s3_server: S3Server, blobs: Blobs, presigner: Presigning) -> None:
    url = signed(presigner, blobs.put("w/r/x", [SOUND]))
    assert httpx.get(url.replace("localhost", "127.0.0.1")).status_code == 403


def test_an_expired_url_is_refused(blobs: Blobs, presigner: Presigning) -> None:
    obj = blobs.put("w/r/x", [SOUND])
    assert httpx.get(signed(presigner, obj, seconds=60, ago=30)).status_code == 200
    assert httpx.get(signed(presigner, obj, seconds=60, ago=62)).status_code == 403


def test_a_url_does_not_change_or_delete(blobs: Blobs, presigner: Presigning) -> None:
    obj = blobs.put("w/r/x", [SOUND])
    url = signed(presigner, obj)
    assert httpx.put(url, content=b"mine").status_code == 403
    assert httpx.delete(url).status_code == 403
    assert blobs.read(obj) == SOUND


def test_a_sealed_object_gets_no_url_of_its_bucket(presigner: Presigning) -> None:
    with pytest.raises(ValueError, match="sealed"):
        signed(presigner, StoredObject(key="w/x", size=1, sha256="", sealing="k.x"))


def test_nobody_signs_without_credentials(url: str) -> None:
    assert open_presigner(url) is None


def test_wrong_credentials_are_the_operator_s_to_mend_and_stay_secret(s3_server: S3Server, url: str) -> None:
    for wrong in ({"secret_access_key": "not the right one"}, {"access_key_id": "nobody"}):
        blobs = open_blobs(url, {**s3_server.credentials, **wrong})
        for do in (lambda b: b.put("w/r/x", [b"x"]), lambda b: b.read(ABSENT), lambda b: list(b.list())):
            with pytest.raises(Misconfigured, match="refuses the credentials") as refused:
                do(blobs)
            assert "not the right one" not in str(refused.value)
            assert "http" not in str(refused.value)


def test_a_bucket_that_is_not_there_is_not_an_object_that_is_not_there(s3_server: S3Server, url: str) -> None:
    elsewhere = open_blobs(url.replace("recordings", "nowhere"), s3_server.credentials)
    for do in (
        lambda: elsewhere.put("w/r/x", [b"x"]),
        lambda: elsewhere.put("w/r/x", [bytes(9 * MIB)]),
        lambda: elsewhere.read(ABSENT),
        lambda: list(elsewhere.list()),
        elsewhere.check,
    ):
        with pytest.raises(Misconfigured, match="no such bucket"):
            do()
    with pytest.raises(BlobMissing):
        open_blobs(url, s3_server.credentials).read(ABSENT)


def test_a_storage_that_is_away_is_neither(s3_server: S3Server, url: str) -> None:
    away = open_blobs(url.replace(f"127.0.0.1:{s3_server.port}", "127.0.0.1:9"), s3_server.credentials)
    began = time.monotonic()
    with pytest.raises(BlobsUnavailable):
        away.read(ABSENT)
    assert time.monotonic() - began < 30


def unfinished_uploads(server: S3Server) -> str:
    signer = AwsSigner(server.key_id, server.secret, "us-east-1")
    address = f"{server.endpoint}/{server.bucket}"
    return httpx.get(presign(signer, "GET", address, {"uploads": ""}, now_ms=int(time.time() * 1000), seconds=60)).text


def test_a_put_in_parts_that_its_source_breaks_off_is_called_off(s3_server: S3Server, blobs: Blobs, url: str) -> None:
    def breaking() -> Iterator[bytes]:
        for _ in range(30):
            yield bytes(MIB)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        blobs.put("w/r/broken", breaking())
    prefix = url.partition("recordings/")[2].partition("?")[0]
    answer = unfinished_uploads(s3_server)
    assert "ListMultipartUploadsResult" in answer
    assert f"{prefix}/w/r/broken" not in answer


def test_a_storage_killed_in_the_middle_of_a_put_leaves_nothing_under_the_name(own_s3_server: S3Server) -> None:
    blobs = open_blobs(own_s3_server.url("p"), own_s3_server.credentials)

    def killing() -> Iterator[bytes]:
        for n in range(60):
            if n == 40:
                own_s3_server.kill()
            yield bytes(MIB)

    before = blobs.put("w/r/before", [SOUND])
    with pytest.raises(BlobsUnavailable, match="does not answer"):
        blobs.put("w/r/x", killing())
    own_s3_server.restart()
    assert [name for name, _ in blobs.list()] == ["w/r/before"]
    assert blobs.read(before) == SOUND
    assert blobs.read(blobs.put("w/r/x", [SOUND])) == SOUND


def test_a_storage_that_comes_back_in_time_is_not_noticed(own_s3_server: S3Server) -> None:
    client = {"allow_http": True}
    store = S3Store("recordings", endpoint=own_s3_server.endpoint, client_options=client, **own_s3_server.credentials)
    blobs = RetryingBlobs(ObjectStoreBlobs(store), pause=lambda seconds: own_s3_server.restart())

    def killing() -> Iterator[bytes]:
        yield from [bytes(MIB)] * 20
        own_s3_server.kill()
        yield SOUND

    obj = blobs.put("w/r/x", killing())
    assert obj.size == 20 * MIB + len(SOUND)
    assert blobs.read(obj, 20 * MIB) == SOUND
