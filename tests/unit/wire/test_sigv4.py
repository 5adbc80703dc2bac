"""Signed URLs, held against what Amazon and Google publish, and against another implementation."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import obstore
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import S3Store

from callvault.wire.sigv4 import LONGEST_SECONDS, AwsSigner, GoogleSigner, presign

EMPTY_BODY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def ms(when: str) -> int:
    return int(datetime.fromisoformat(when).timestamp() * 1000)


def test_the_example_in_amazon_s_documentation_of_s3() -> None:
    """ "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)"."""
    signer = AwsSigner("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
    address = "https://examplebucket.s3.amazonaws.com/test.txt"
    url = presign(signer, "GET", address, {}, now_ms=ms("2013-05-24T00:00:00Z"), seconds=86_400)
    assert url == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


SUITE = {
    "get-vanilla-query": ("/", {}, "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"),
    "get-unreserved": (f"/{UNRESERVED}", {}, "95968482db1b9e0fadef6efc1bd24689f77c77d9ef56919c96a28cc92e0d6005"),
    "get-utf8": ("/ሴ", {}, "10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44"),
    "get-vanilla-utf8-query": ("/", {"ሴ": "bar"}, "0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600"),
    "get-vanilla-query-order-key-case": (
        "/",
        {"Param2": "value2", "Param1": "value1"},
        "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5",
    ),
    "get-vanilla-query-unreserved": (
        "/",
        {UNRESERVED: UNRESERVED},
        "8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf",
    ),
}


@pytest.mark.parametrize(("path", "query", "signature"), SUITE.values(), ids=SUITE.keys())
def test_amazon_s_test_suite_for_signed_queries(path: str, query: dict[str, str], signature: str) -> None:
    signer = AwsSigner("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service")
    now = ms("2015-08-30T12:36:00Z")
    address = f"https://example.amazonaws.com{path}"
    url = presign(signer, "GET", address, query, now_ms=now, seconds=3_600, payload=EMPTY_BODY)
    assert url.endswith(f"&X-Amz-Signature={signature}")


secrets = st.text("abcXYZ019+/=", min_size=1, max_size=40)
names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._=+-]{0,20}(/[A-Za-z0-9_][A-Za-z0-9._=+-]{0,20}){0,3}", fullmatch=True)


@given(
    names,
    secrets,
    st.sampled_from(["eu-west-1", "auto"]),
    st.integers(1, LONGEST_SECONDS),
    st.sampled_from(["", "t/+="]),
)
def test_obstore_signs_the_same(name: str, secret: str, region: str, seconds: int, token: str) -> None:
    held = {"session_token": token} if token else {}
    store = S3Store(
        "bucket", endpoint="https://s3.example.com", region=region, access_key_id="id", secret_access_key=secret, **held
    )
    theirs = obstore.sign(store, "GET", name, timedelta(seconds=seconds))
    [date] = parse_qs(urlsplit(theirs).query)["X-Amz-Date"]
    signer = AwsSigner("id", secret, region, session_token=token)
    address = f"https://s3.example.com/bucket/{name}"
    ours = presign(signer, "GET", address, {}, now_ms=ms(f"{date[:-1]}+00:00"), seconds=seconds)
    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs).query)


GOOGLE_MODULUS = int(
    "ac3f3322ac8a2db5f436af28d098f5a871211e1a8edfed0e3fb4c4171e55c5ce8f77006814dadf9c9448fd2f99683612d5abebe4faa9a7c8"
    "3cf9434e32f23556c8c633cc634dac6456ff2698aa7aa52990b2d4eddb9a736357b1036c2fe313564b058d14dc76921df9fa4bd343f0c5dd"
    "803d3fba54535b0ababd4f3fc3a8b9b58b14ee7d8b2e54139757d0eff7a63bd9d87021497b31d955ad0799e5ac747c16b28934b24c106103"
    "48ccfdc917d0694798094f680d81ee8aa290deb0978ba0bcda5fb7149c39fe0809e72ee2c3c304ac2152b257184116c1573e9960a5a411c2"
    "61b3c046dffd7a6df6aa36eb0d943209f7d23b0e68a9527805fc712e95885fad",
    16,
)
"""Of the public key of the service account that Google's conformance tests sign with."""


@dataclass
class WithoutItsKey:
    """Google's signer, as far as everybody can be it: it keeps the text that is to be signed."""

    key_id: str = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"
    texts: list[bytes] = field(default_factory=list)
    prefix: ClassVar[str] = GoogleSigner.prefix
    algorithm: ClassVar[str] = GoogleSigner.algorithm
    scope = GoogleSigner.scope
    more = GoogleSigner.more

    def sign(self, day: str, text: bytes) -> str:
        self.texts.append(text)
        return ""


@dataclass(frozen=True)
class GoogleVector:
    path: str
    query: dict[str, str]
    seconds: int
    when: str
    asked: str
    signature: str


GOOGLE = {
    "Simple GET": GoogleVector(
        "test-bucket/test-object",
        {},
        10,
        "2019-02-01T09:00:00Z",
        "&X-Goog-Date=20190201T090000Z&X-Goog-Expires=10&X-Goog-SignedHeaders=host",
        "95e6a13d43a1d1962e667f17397f2b80ac9bdd1669210d5e08e0135df9dff4e56113485dbe429ca2266487b9d1796ebdee2d7cf682a6ef3bb"
        "9fbb4c351686fba90d7b621cf1c4eb1fdf126460dd25fa0837dfdde0a9fd98662ce60844c458448fb2b352c203d9969cb74efa4bdb7422877"
        "44a4f2308afa4af0e0773f55e32e92973619249214b97283b2daa14195244444e33f938138d1e5f561088ce8011f4986dda33a556412594db"
        "7c12fc40e1ff3f1bedeb7a42f5bcda0b9567f17f65855f65071fabb88ea12371877f3f77f10e1466fff6ff6973b74a933322ff0949ce357e2"
        "0abe96c3dd5cfab42c9c83e740a4d32b9e11e146f0eb3404d2e975896f74",
    ),
    "Query Parameter Encoding": GoogleVector(
        "test-bucket/test-object",
        {"soufflé": "=%-_.~"},
        10,
        "2019-02-01T09:00:00Z",
        "&X-Goog-Date=20190201T090000Z&X-Goog-Expires=10&X-Goog-SignedHeaders=host&souffl%C3%A9=%3D%25-_.~",
        "38dd9ca622b80bca10f405e7d9ba0f0fbea719ca84d66078a484c5b54b1ce98e3fa8a0d2065216ed6ac03179be69312dabf428f8171b95994"
        "bdafe465a6f7893bacc7213a7bf4054ce2d78d4b60c34df24cc43e509ad7c81be47148d43a0e67d50d8fe38c85b0c63f9a51149b4f3335315"
        "946fef8ab34315ce3f6ce01f1831abb3eda5e7e211823855ed1767c65a8c7aeec357de096e3406897acfe092fead51bbea7df83e25a6180f8"
        "0c8a0871e4901c370f77f5675f2405be7ccd55fd6dd22a87cf0adfafdb3f6fa99974fcf6c947b62294eebd7954e546c28f5490a6c50694c0e"
        "4882fcfe0d4a4ae8891a92579d6099a9b4c84d9f033a3b339163b6670b7e",
    ),
    "Query Parameter Ordering": GoogleVector(
        "test-bucket/test-object",
        {"prefix": "/foo", "X-Goog-Meta-Foo": "bar"},
        10,
        "2019-02-01T09:00:00Z",
        "&X-Goog-Date=20190201T090000Z&X-Goog-Expires=10&X-Goog-Meta-Foo=bar&X-Goog-SignedHeaders=host&prefix=%2Ffoo",
        "a07745e1b3d59b85cbe11aa766df72c22468959e7217615dccb7f030234f66b60b37e480f30725ed51f29816362ca8286c619ebb66448ff1d"
        "370be2a4a48aacf20d3d2d6200ed17341a5791baf2ee5cd9c2823adacc6264f66c8a54fa887e1bce3c55cf78fb2f6a52618cf09d6f945f63d"
        "148052a7b66a75e075ff5065828a806b84bdc49a42399be7483225c720d5e18a6160f79d815f433e7921694fe1d041099851793c2581db0e5"
        "ca503cfb566e414f900ceede5f9b22030edd32ab20b6f7f9fb2afba89098b9364e03397c03a94eac3a140c99979b8786844fb4f6c62c19853"
        "78939dd1bbaea8e41b9100dda85a27733171cc78d96ee362ea2c3432f4d8",
    ),
}


@pytest.mark.parametrize("vector", GOOGLE.values(), ids=GOOGLE.keys())
def test_google_s_conformance_tests_for_signed_urls(vector: GoogleVector) -> None:
    signer = WithoutItsKey()
    address = f"https://storage.googleapis.com/{vector.path}"
    url = presign(signer, "GET", address, vector.query, now_ms=ms(vector.when), seconds=vector.seconds)
    who = f"{signer.key_id.replace('@', '%40')}%2F{vector.when[:10].replace('-', '')}%2Fauto%2Fstorage%2Fgoog4_request"
    assert url == (
        f"{address}?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential={who}{vector.asked}&X-Goog-Signature="
    )
    google = rsa.RSAPublicNumbers(65_537, GOOGLE_MODULUS).public_key()
    google.verify(bytes.fromhex(vector.signature), signer.texts[0], padding.PKCS1v15(), SHA256())


def test_a_service_account_s_signature_is_its_key_s() -> None:
    key = rsa.generate_private_key(65_537, 2_048)
    signed = GoogleSigner("a@example.com", key).sign("20190201", b"text")
    key.public_key().verify(bytes.fromhex(signed), b"text", padding.PKCS1v15(), SHA256())


def test_a_header_for_the_browser_is_signed_with_the_rest() -> None:
    signer = AwsSigner("id", "secret", "auto")
    urls = {
        presign(
            signer,
            method,
            "https://h/b/k",
            {"response-content-disposition": f'attachment; filename="{name}"'},
            now_ms=0,
            seconds=9,
        )
        for method in ("GET", "HEAD")
        for name in ("a", "b c", "é")
    }
    assert len({url.rpartition("=")[2] for url in urls}) == 6
    assert any("response-content-disposition=attachment%3B%20filename%3D%22b%20c%22" in url for url in urls)


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_SECONDS + 1])
def test_a_url_that_no_store_would_take_is_not_made(seconds: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        presign(AwsSigner("id", "secret", "auto"), "GET", "https://h/b", {}, now_ms=0, seconds=seconds)


def test_a_signer_does_not_show_its_secret() -> None:
    assert "hidden" not in repr(AwsSigner("id", "hidden", "auto", session_token="hidden too"))
