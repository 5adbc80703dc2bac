"""Google Cloud Storage, of which no faithful server is to be had: what is asked of it, to the byte, and what its
documented answers are taken for. Its signed URLs are held against Google's vectors in tests/unit/wire/test_sigv4.py."""

import json
import threading
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from callvault.adapters.blobs.opening import google_signer, open_blobs, open_presigner
from callvault.domain.errors import BlobExists, BlobMissing, Misconfigured
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs

KEY = rsa.generate_private_key(65_537, 2_048)
ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "private_key_id": "key-1",
        "private_key": KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "vault@project.iam.gserviceaccount.com",
    }
)
OBJECT = StoredObject(key="w/r/x", size=5, sha256="")
NEW = {"ETag": '"1"', "x-goog-generation": "1"}
THERE = {**NEW, "Last-Modified": "Tue, 01 Jan 2030 00:00:00 GMT"}
PART = 8 * 2**20


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Google:
    """Answers as it was told to, and writes down what it was asked."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@pytest.fixture
def google() -> Iterator[Google]:
    told = Google()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            told.asked.append(f"{self.command} {self.path}")
            told.headers.append({name.lower(): value for name, value in self.headers.items()})
            told.bodies.append(self.rfile.read(int(self.headers.get("content-length") or 0)))
            answer = told.answers.pop(0) if told.answers else Answer(500)
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"gs://bucket/pre?endpoint=http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def blobs(google: Google) -> Blobs:
    return open_blobs(google.url, {"service_account_key": ACCOUNT})


def error(status: int, code: str) -> Answer:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>...</Message></Error>"
    return Answer(status, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})


def test_a_small_object_is_put_in_one_request_on_the_condition_that_it_is_new(google: Google, blobs: Blobs) -> None:
    google.answers = [Answer(headers=NEW)]
    blobs.put("w/r/x", [b"he", b"llo"])
    assert google.asked == ["PUT /bucket/pre%2Fw%2Fr%2Fx"]
    assert google.bodies == [b"hello"]
    assert google.headers[0]["x-goog-if-generation-match"] == "0"


def test_the_request_bears_a_token_signed_by_the_service_account(google: Google, blobs: Blobs) -> None:
    google.answers = [Answer(headers=NEW)]
    blobs.put("w/r/x", [b"hello"])
    scheme, _, token = google.headers[0]["authorization"].partition(" ")
    said, _, signature = token.rpartition(".")
    head, claims = (json.loads(urlsafe_b64decode(part + "==")) for part in said.split("."))
    assert (scheme, head["alg"], head["kid"]) == ("Bearer", "RS256", "key-1")
    assert claims["iss"] == claims["sub"] == "vault@project.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    KEY.public_key().verify(urlsafe_b64decode(signature + "=="), said.encode(), padding.PKCS1v15(), SHA256())


def test_a_name_that_is_taken(google: Google, blobs: Blobs) -> None:
    google.answers = [error(412, "PreconditionFailed")]
    with pytest.raises(BlobExists):
        blobs.put("w/r/x", [b"hello"])


def test_a_large_object_is_put_in_parts(google: Google, blobs: Blobs) -> None:
    begun = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
    done = b'<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>'
    google.answers = [error(404, "NoSuchKey"), Answer(body=begun), Answer(headers=NEW), Answer(headers=NEW)]
    google.answers += [Answer(body=done, headers=NEW)]
    blobs.put("w/r/x", [bytes(2**20)] * 10)
    assert google.asked[:2] == ["HEAD /bucket/pre%2Fw%2Fr%2Fx", "POST /bucket/pre%2Fw%2Fr%2Fx?uploads="]
    assert sorted(google.asked[2:4]) == [
        "PUT /bucket/pre%2Fw%2Fr%2Fx?partNumber=1&uploadId=u1",
        "PUT /bucket/pre%2Fw%2Fr%2Fx?partNumber=2&uploadId=u1",
    ]
    assert sorted(len(body) for body in google.bodies[2:4]) == [2 * 2**20, PART]
    assert google.asked[4:] == ["POST /bucket/pre%2Fw%2Fr%2Fx?uploadId=u1"]


def test_a_range_is_asked_for_and_no_more(google: Google, blobs: Blobs) -> None:
    google.answers = [Answer(206, b"el", {**THERE, "Content-Range": "bytes 1-2/5"})]
    assert blobs.read(OBJECT, 1, 2) == b"el"
    assert google.asked == ["GET /bucket/pre%2Fw%2Fr%2Fx"]
    assert google.headers[0]["range"] == "bytes=1-2"


def test_a_whole_object_is_asked_for_with_one_byte_more(google: Google, blobs: Blobs) -> None:
    google.answers = [Answer(206, b"hello", {**THERE, "Content-Range": "bytes 0-4/5"})]
    assert blobs.read(OBJECT) == b"hello"
    assert google.headers[0]["range"] == "bytes=0-5"


def test_what_is_not_there_and_a_bucket_that_is_not(google: Google, blobs: Blobs) -> None:
    google.answers = [error(404, "NoSuchKey"), error(404, "NoSuchBucket"), error(403, "AccessDenied")]
    with pytest.raises(BlobMissing):
        blobs.read(OBJECT)
    with pytest.raises(Misconfigured, match="no such bucket"):
        blobs.read(OBJECT)
    with pytest.raises(Misconfigured, match="refuses the credentials"):
        blobs.read(OBJECT)


def test_a_fault_that_passes_is_asked_again(google: Google, blobs: Blobs) -> None:
    whole = Answer(206, b"hello", {**THERE, "Content-Range": "bytes 0-4/5"})
    google.answers = [error(503, "ServiceUnavailable"), error(429, "SlowDown"), whole]
    assert blobs.read(OBJECT) == b"hello"
    assert len(google.asked) == 3


def test_deleting(google: Google, blobs: Blobs) -> None:
    google.answers = [Answer(204), error(404, "NoSuchKey")]
    blobs.delete("w/r/x")
    blobs.delete("w/r/x")
    assert google.asked == ["DELETE /bucket/pre%2Fw%2Fr%2Fx"] * 2


def test_listing(google: Google, blobs: Blobs) -> None:
    def page(*names: str, more: str) -> Answer:
        found = "".join(
            f"<Contents><Key>pre/w/r/{name}</Key><Size>5</Size><LastModified>2030-01-01T00:00:00.000Z</LastModified>"
            '<ETag>"1"</ETag></Contents>'
            for name in names
        )
        return Answer(body=f"<ListBucketResult>{found}{more}</ListBucketResult>".encode())

    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>next</NextContinuationToken>"
    google.answers = [page("a", "b", more=more), page("c", more="<IsTruncated>false</IsTruncated>")]
    assert list(blobs.list("w/")) == [("w/r/a", 5), ("w/r/b", 5), ("w/r/c", 5)]
    queries = [parse_qs(urlsplit(asked.partition(" ")[2]).query) for asked in google.asked]
    assert [(query["prefix"], query.get("continuation-token")) for query in queries] == [
        (["pre/w/"], None),
        (["pre/w/"], ["next"]),
    ]


def test_a_signed_url_names_account_object_and_headers() -> None:
    presigner = open_presigner("gs://bucket/pre", {"service_account_key": ACCOUNT})
    assert presigner
    url = presigner.presign(OBJECT, seconds=60, media_type="audio/wav", disposition="inline", now_ms=1_760_000_000_000)
    parts = urlsplit(url)
    assert (parts.netloc, parts.path) == ("storage.googleapis.com", "/bucket/pre/w/r/x")
    asked = {name: value for name, [value] in parse_qs(parts.query).items()}
    assert len(asked.pop("X-Goog-Signature")) == 512
    assert asked == {
        "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
        "X-Goog-Credential": "vault@project.iam.gserviceaccount.com/20251009/auto/storage/goog4_request",
        "X-Goog-Date": "20251009T085320Z",
        "X-Goog-Expires": "60",
        "X-Goog-SignedHeaders": "host",
        "response-content-disposition": "inline",
        "response-content-type": "audio/wav",
    }


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"private_key": "x", "client_email": "y"}', "not json"])
def test_what_is_no_service_account_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="service_account_key"):
        google_signer(text)
