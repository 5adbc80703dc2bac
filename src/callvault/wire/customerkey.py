"""A customer's own RSA key: data keys wrapped to it, so that the customer can open objects without us."""

import hashlib
from base64 import b64encode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

LEAST_BITS, MOST_BITS = 2048, 8192


class CustomerKey:
    """`ValueError` from a text that is no PEM of an RSA public key of a sound size."""

    def __init__(self, pem: str) -> None:
        self._key = _rsa(pem)
        spki = self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = hashlib.sha256(spki).hexdigest()[:16]
        self.pem = self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def wrap(self, data_key: bytes) -> str:
        """`<fingerprint>.<base64>`, by RSA-OAEP with SHA-256 twice."""
        wrapped = self._key.encrypt(data_key, OAEP(MGF1(SHA256()), SHA256(), None))
        return f"{self.fingerprint}.{b64encode(wrapped).decode()}"


def _rsa(pem: str) -> RSAPublicKey:
    if "PRIVATE" in pem[:10_000]:
        raise ValueError("it is a private key: keep it to yourself and give the public one")
    try:
        key = load_pem_public_key(pem[:10_000].encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no PEM of a public key ('BEGIN PUBLIC KEY')") from None
    if not isinstance(key, RSAPublicKey) or not LEAST_BITS <= key.key_size <= MOST_BITS:
        raise ValueError(f"it is no RSA key of {LEAST_BITS} to {MOST_BITS} bits")
    return key
