"""The signatures of webhooks: Standard Webhooks, symmetric and ed25519, and the forms of three vendors."""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks.webhooks import Webhook

from callvault.domain.errors import Malformed
from callvault.domain.ids import token
from callvault.ports.webhooks import Secret, Signer

SYMMETRIC, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
KEY = re.compile(r"[!-~]{8,256}")
HEADER = re.compile(r"[!-~]([ -~]{0,254}[!-~])?")


class StandardSigner:
    """`webhook-signature: v1,<base64>`, one for each valid secret."""

    def new_secret(self, randomness: bytes) -> Secret:
        return Secret(SYMMETRIC + b64encode(randomness).decode())

    def given(self, text: str) -> Secret:
        try:
            key = b64decode(text.removeprefix(SYMMETRIC), validate=True)
        except ValueError:
            key = b""
        if not text.startswith(SYMMETRIC) or not 24 <= len(key) <= 64:
            raise Malformed(what="secret", why="it is `whsec_` and the base64 of 24 to 64 bytes")
        return Secret(text)

    def headers(self, secrets: Sequence[Secret], message_id: str, now_ms: int, body: bytes) -> dict[str, str]:
        at, text = datetime.fromtimestamp(now_ms // 1000, UTC), body.decode()
        signatures = [Webhook(secret.text).sign(message_id, at, text) for secret in secrets]
        return _standard(message_id, now_ms, signatures)


class Ed25519Signer:
    """`webhook-signature: v1a,<base64>`: the receiver needs only the public key."""

    def new_secret(self, randomness: bytes) -> Secret:
        public = Ed25519PrivateKey.from_private_bytes(randomness).public_key().public_bytes_raw()
        return Secret(PRIVATE + b64encode(randomness).decode(), PUBLIC + b64encode(public).decode())

    def given(self, text: str) -> Secret:
        raise Malformed(what="secret", why="an ed25519 key is made here, and its private half stays here")

    def headers(self, secrets: Sequence[Secret], message_id: str, now_ms: int, body: bytes) -> dict[str, str]:
        signed = b"%s.%d.%s" % (message_id.encode(), now_ms // 1000, body)
        return _standard(
            message_id, now_ms, [f"v1a,{b64encode(_ed25519(secret, signed)).decode()}" for secret in secrets]
        )


class PlainSecretSigner:
    """The secret itself in a header, as Vapi's servers expect it: whichever they have chosen."""

    def new_secret(self, randomness: bytes) -> Secret:
        return Secret(token(randomness))

    def given(self, text: str) -> Secret:
        if not HEADER.fullmatch(text):
            raise Malformed(what="secret", why="it has 1 to 256 printable characters, spaces only between others")
        return Secret(text)

    def headers(self, secrets: Sequence[Secret], message_id: str, now_ms: int, body: bytes) -> dict[str, str]:
        return {"X-Vapi-Secret": secrets[-1].text}


class AgentPhoneSigner:
    def new_secret(self, randomness: bytes) -> Secret:
        return Secret(SYMMETRIC + token(randomness))

    def given(self, text: str) -> Secret:
        return _key(text)

    def headers(self, secrets: Sequence[Secret], message_id: str, now_ms: int, body: bytes) -> dict[str, str]:
        at = str(now_ms // 1000)
        return {
            "X-Webhook-Signature": f"sha256={_hmac(secrets[-1], at, body)}",
            "X-Webhook-Timestamp": at,
            "X-Webhook-ID": message_id,
        }


class GravityRailSigner:
    """`X-Webhook-Signature: t=<unix>,v1=<hex>`, one `v1` for each valid secret."""

    def new_secret(self, randomness: bytes) -> Secret:
        return Secret(token(randomness))

    def given(self, text: str) -> Secret:
        return _key(text)

    def headers(self, secrets: Sequence[Secret], message_id: str, now_ms: int, body: bytes) -> dict[str, str]:
        at = str(now_ms // 1000)
        signatures = ",".join(f"v1={_hmac(secret, at, body)}" for secret in secrets)
        return {"X-Webhook-Signature": f"t={at},{signatures}", "X-Webhook-ID": message_id}


SIGNERS: dict[str, Signer] = {
    "v1": StandardSigner(),
    "v1a": Ed25519Signer(),
    "vapi": PlainSecretSigner(),
    "agentphone": AgentPhoneSigner(),
    "gravityrail": GravityRailSigner(),
}


def _standard(message_id: str, now_ms: int, signatures: Sequence[str]) -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": " ".join(signatures),
    }


def _ed25519(secret: Secret, signed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(b64decode(secret.text.removeprefix(PRIVATE))).sign(signed)


def _hmac(secret: Secret, at: str, body: bytes) -> str:
    return hmac.new(secret.text.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _key(text: str) -> Secret:
    if not KEY.fullmatch(text):
        raise Malformed(what="secret", why="it has 8 to 256 printable characters without spaces")
    return Secret(text)
