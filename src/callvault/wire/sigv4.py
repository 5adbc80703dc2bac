"""URLs signed as AWS Signature Version 4 and its Google twin say: who holds one may do that one thing for a while."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Protocol
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
LONGEST_SECONDS = 7 * 24 * 3600


class Signer(Protocol):
    """What differs between the two: names, scope, and how the text is signed."""

    prefix: ClassVar[str]
    algorithm: ClassVar[str]

    @property
    def key_id(self) -> str: ...

    def scope(self, day: str) -> str: ...

    def more(self) -> Mapping[str, str]:
        """Parameters that this signer's URLs have besides."""
        ...

    def sign(self, day: str, text: bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class AwsSigner:
    key_id: str
    secret: str = field(repr=False)
    region: str
    service: str = "s3"
    session_token: str = field(default="", repr=False)
    prefix: ClassVar[str] = "X-Amz-"
    algorithm: ClassVar[str] = "AWS4-HMAC-SHA256"

    def scope(self, day: str) -> str:
        return f"{day}/{self.region}/{self.service}/aws4_request"

    def more(self) -> Mapping[str, str]:
        return {"X-Amz-Security-Token": self.session_token} if self.session_token else {}

    def sign(self, day: str, text: bytes) -> str:
        key = f"AWS4{self.secret}".encode()
        for part in self.scope(day).split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text, "sha256").hex()


@dataclass(frozen=True, slots=True)
class GoogleSigner:
    key_id: str
    """The service account's address."""
    private_key: RSAPrivateKey = field(repr=False)
    prefix: ClassVar[str] = "X-Goog-"
    algorithm: ClassVar[str] = "GOOG4-RSA-SHA256"

    def scope(self, day: str) -> str:
        return f"{day}/auto/storage/goog4_request"

    def more(self) -> Mapping[str, str]:
        return {}

    def sign(self, day: str, text: bytes) -> str:
        return self.private_key.sign(text, PKCS1v15(), SHA256()).hex()


def presign(
    signer: Signer,
    method: str,
    address: str,
    query: Mapping[str, str],
    *,
    now_ms: int,
    seconds: int,
    payload: str = UNSIGNED_PAYLOAD,
) -> str:
    """The address (scheme, host and path, unescaped) with the query and a signature that ends after the seconds."""
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"a signed URL lasts 1 to {LONGEST_SECONDS} seconds")
    at = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = signer.scope(at[:8])
    facts = {
        "Algorithm": signer.algorithm,
        "Credential": f"{signer.key_id}/{scope}",
        "Date": at,
        "Expires": str(seconds),
        "SignedHeaders": "host",
    }
    signed = {**query, **signer.more(), **{signer.prefix + name: value for name, value in facts.items()}}
    asked = "&".join(f"{name}={value}" for name, value in sorted((_escaped(n), _escaped(v)) for n, v in signed.items()))
    origin, host, path = _split(address)
    request = "\n".join([method, path, asked, f"host:{host}\n", "host", payload])
    text = "\n".join([signer.algorithm, at, scope, hashlib.sha256(request.encode()).hexdigest()])
    return f"{origin}{path}?{asked}&{signer.prefix}Signature={signer.sign(at[:8], text.encode())}"


def _split(address: str) -> tuple[str, str, str]:
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}", host.lower(), "/" + quote(path, safe="/-_.~")


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~")
