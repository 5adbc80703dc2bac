"""A customer's RSA key: taken if it is one, and data keys wrapped to it open with openssl's defaults spelled out."""

import subprocess
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from callvault.wire.customerkey import CustomerKey

KEY = rsa.generate_private_key(65_537, 2_048)


def private_pem(key: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]


def public_pem(key: object, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    return key.public_key().public_bytes(Encoding.PEM, form).decode()  # type: ignore[attr-defined]


def test_openssl_opens_what_was_wrapped(tmp_path: Path) -> None:
    (tmp_path / "private.pem").write_bytes(private_pem(KEY))
    fingerprint, _, wrapped = CustomerKey(public_pem(KEY)).wrap(bytes(range(32))).partition(".")
    options = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]
    command = ["openssl", "pkeyutl", "-decrypt", "-inkey", str(tmp_path / "private.pem")]
    command += [part for option in options for part in ("-pkeyopt", option)]
    done = subprocess.run(command, input=b64decode(wrapped), capture_output=True, check=True)
    assert done.stdout == bytes(range(32))
    (tmp_path / "public.pem").write_text(public_pem(KEY))
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", str(tmp_path / "public.pem"), "-outform", "DER"],
        capture_output=True,
        check=True,
    )
    digest = subprocess.run(["openssl", "sha256", "-r"], input=der.stdout, capture_output=True, check=True)
    assert digest.stdout.decode()[:16] == fingerprint


def test_either_form_of_pem_is_the_same_key() -> None:
    assert CustomerKey(public_pem(KEY)).fingerprint == CustomerKey(public_pem(KEY, PublicFormat.PKCS1)).fingerprint


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        ("", "no PEM"),
        ("-----BEGIN PUBLIC KEY-----\nnot base64\n-----END PUBLIC KEY-----", "no PEM"),
        (private_pem(KEY).decode(), "private key"),
        (public_pem(ec.generate_private_key(ec.SECP256R1())), "no RSA key"),
        (public_pem(ed25519.Ed25519PrivateKey.generate()), "no RSA key"),
        (public_pem(rsa.generate_private_key(65_537, 1_024)), "2048"),
        ("x" * 1_000_000, "no PEM"),
        ("ä" * 100, "no PEM"),
    ],
)
def test_what_is_no_sound_rsa_public_key_is_refused(pem: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        CustomerKey(pem)
