import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import DigestMismatch, Malformed
from callvault.wire.contentdigest import Promised, parse, serialize

# RFC 9530, appendix B.1 and B.2: the digests of this body.
BODY = b'{"hello": "world"}\n'
RFC_256 = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
RFC_512 = "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:"


def checked(field: str, body: bytes) -> str | None:
    promised = Promised(field)
    for at in range(0, len(body), 5):
        promised.update(body[at : at + 5])
    promised.check()
    return promised.algorithm


@pytest.mark.parametrize("field", [RFC_256, RFC_512, f"{RFC_256}, {RFC_512}", f"unknown=:AA==:;a=1;b,{RFC_512}"])
def test_the_examples_of_the_rfc_hold(field: str) -> None:
    assert checked(field, BODY)


@pytest.mark.parametrize("field", [RFC_256, RFC_512])
def test_another_body_does_not_have_the_digest(field: str) -> None:
    for body in (b"", BODY[:-1], BODY + b"\0"):
        with pytest.raises(DigestMismatch):
            checked(field, body)


def test_the_stronger_digest_decides() -> None:
    wrong = serialize({"sha-256": bytes(32)})
    assert checked(f"{wrong}, {RFC_512}", BODY) == "sha-512"
    with pytest.raises(DigestMismatch):
        checked(f"{RFC_256}, {serialize({'sha-512': bytes(64)})}", BODY)


def test_an_algorithm_that_proves_nothing_is_passed_over() -> None:
    assert checked("md5=:AAAAAAAAAAAAAAAAAAAAAA==:", BODY) is None


@pytest.mark.parametrize(
    "field",
    [
        "",
        " ",
        ",",
        RFC_256 + ",",
        "sha-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=",
        'sha-256="x"',
        "sha-256=:*:",
        "sha-256=:A:",
        "sha-256=:AAAA:",
        "SHA-256=:AAAA:",
        "sha-256=:AAAA: sha-512=:AAAA:",
        "x" * 5000,
    ],
)
def test_what_is_no_digest_field_is_malformed(field: str) -> None:
    with pytest.raises(Malformed):
        Promised(field)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True), st.binary(max_size=70), min_size=1))
def test_what_was_written_is_read(digests: dict[str, bytes]) -> None:
    assert parse(serialize(digests)) == digests


@given(st.binary(max_size=300))
def test_any_body_has_its_own_digest(body: bytes) -> None:
    assert checked(serialize({"sha-256": hashlib.sha256(body).digest()}), body) == "sha-256"


@given(st.text(max_size=100))
def test_fuzz_any_text_is_digests_or_malformed(text: str) -> None:
    for field in (text, "sha-256=:" + text, RFC_256 + text):
        try:
            assert parse(field)
        except Malformed:
            continue
