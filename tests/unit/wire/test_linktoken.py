import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import LinkExpired, LinkInvalid
from callvault.wire.linktoken import LinkClaims, sign, verify

SECRETS = {"k1": b"1" * 32, "k2": b"2" * 32}
CLAIMS = LinkClaims(
    recording_id="01890a5d-ac96-774b-bcce-b302099a8058",
    what="stereo",
    nonce=b"\0once...",
    format="wav",
    rate=16000,
    attachment=True,
    filename="Gespräch.wav",
    expires_s=1_760_000_000,
    link_epoch=3,
)
NOW_MS = 1_759_999_999_999

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
claims = st.builds(
    LinkClaims,
    recording_id=names | st.uuids().map(str),
    what=names,
    nonce=st.binary(min_size=8, max_size=8),
    format=names,
    rate=st.integers(0, 192_000),
    attachment=st.booleans(),
    live=st.booleans(),
    originals=st.booleans(),
    filename=names,
    expires_s=st.integers(1, 2**40),
    link_epoch=st.integers(0, 2**31),
)


def signed(value: LinkClaims, key_id: str = "k1", secret: bytes = SECRETS["k1"]) -> str:
    return sign(value, key_id, secret)[0]


def verified(token: str, secrets: dict[str, bytes] = SECRETS, now_ms: int = NOW_MS) -> LinkClaims:
    return verify(token, secrets, now_ms)[0]


def test_what_was_signed_is_verified() -> None:
    assert verified(signed(CLAIMS)) == CLAIMS


def test_a_token_is_short_and_fits_a_path() -> None:
    token = signed(CLAIMS._replace(filename=""), "k1", SECRETS["k1"])
    assert len(token) < 145
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_signing_the_same_twice_gives_the_same_token() -> None:
    assert signed(CLAIMS) == signed(CLAIMS)


def test_a_link_has_the_same_id_where_it_is_made_and_where_it_is_followed_and_it_tells_nothing_of_the_token() -> None:
    text, link_id = sign(CLAIMS, "k1", SECRETS["k1"])
    assert verify(text, SECRETS, NOW_MS) == (CLAIMS, link_id)
    assert len(link_id) == 28 and link_id[:8] not in text
    assert sign(CLAIMS._replace(what="mono"), "k1", SECRETS["k1"])[1] != link_id


def test_a_token_is_valid_up_to_its_second_and_not_from_it_on() -> None:
    token = signed(CLAIMS)
    assert verified(token, SECRETS, CLAIMS.expires_s * 1000 - 1) == CLAIMS
    with pytest.raises(LinkExpired):
        verified(token, SECRETS, CLAIMS.expires_s * 1000)


def test_an_expired_forgery_is_invalid_and_not_expired() -> None:
    with pytest.raises(LinkInvalid):
        verified(signed(CLAIMS, "k1", b"other" * 8), SECRETS, CLAIMS.expires_s * 1000 + 1)


def test_tokens_of_an_older_secret_stay_valid_while_it_is_known() -> None:
    old, new = signed(CLAIMS), signed(CLAIMS, "k2", SECRETS["k2"])
    assert verified(old, SECRETS, NOW_MS) == verified(new, SECRETS, NOW_MS)
    with pytest.raises(LinkInvalid):
        verified(old, {"k2": SECRETS["k2"]}, NOW_MS)


def test_a_token_is_bound_to_its_key_id() -> None:
    token = signed(CLAIMS)
    with pytest.raises(LinkInvalid):
        verified("k2" + token[2:], {"k1": SECRETS["k1"], "k2": SECRETS["k1"]}, NOW_MS)


def test_no_other_spelling_of_a_token_verifies() -> None:
    token = signed(CLAIMS)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é"
    others = {token[:at] + char + token[at + 1 :] for at in range(len(token)) for char in alphabet}
    others |= {token + char for char in alphabet} | {token[:-1], token[1:], "." + token} - {token}
    for other in others - {token}:
        with pytest.raises(LinkInvalid):
            verified(other)


def test_a_mac_made_for_another_purpose_does_not_verified() -> None:
    text = signed(CLAIMS).rpartition(".")[0]
    mac = hmac.digest(SECRETS["k1"], text.encode(), "sha256").hex()[:36]
    with pytest.raises(LinkInvalid):
        verified(f"{text}.{mac}")


@pytest.mark.parametrize("change", [{"what": "a\0b"}, {"filename": "x" * 4000}, {"recording_id": "a\0"}])
def test_claims_that_would_not_come_back_are_not_signed(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        signed(CLAIMS._replace(**change), "k1", SECRETS["k1"])


@given(claims)
def test_any_claims_come_back(value: LinkClaims) -> None:
    assert verified(signed(value, "k1", SECRETS["k1"]), SECRETS, 0) == value


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_fuzz_anything_else_is_invalid(text: str) -> None:
    for token in (text, f"k1.{text}", f"k1.{text}.{'0' * 36}"):
        with pytest.raises(LinkInvalid):
            verified(token)
