import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callvault.domain.errors import LinkExpired, LinkInvalid
from callvault.wire.linktoken import LinkClaims, sign, verify

SECRETS = {"k1": b"1" * 32, "k2": b"2" * 32}
CLAIMS = LinkClaims(
    workspace_id="01890a5d-ac96-774b-bcce-b302099a8057",
    recording_id="01890a5d-ac96-774b-bcce-b302099a8058",
    link_id="01890a5d-ac96-774b-bcce-b302099a8059",
    minted_by="01890a5d-ac96-774b-bcce-b302099a805a",
    kind="view",
    what="stereo",
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
    workspace_id=names,
    recording_id=names | st.uuids().map(str),
    link_id=names | st.uuids().map(lambda value: str(value).upper()),
    minted_by=names,
    kind=names,
    what=names,
    format=names,
    rate=st.integers(0, 192_000),
    attachment=st.booleans(),
    live=st.booleans(),
    originals=st.booleans(),
    filename=names,
    expires_s=st.integers(1, 2**40),
    link_epoch=st.integers(0, 2**31),
)


def test_what_was_signed_is_verified() -> None:
    assert verify(sign(CLAIMS, "k1", SECRETS["k1"]), SECRETS, NOW_MS) == CLAIMS


def test_a_token_is_short_and_fits_a_path() -> None:
    token = sign(CLAIMS._replace(filename=""), "k1", SECRETS["k1"])
    assert len(token) < 180
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_signing_the_same_twice_gives_the_same_token() -> None:
    assert sign(CLAIMS, "k1", SECRETS["k1"]) == sign(CLAIMS, "k1", SECRETS["k1"])


def test_a_token_is_valid_up_to_its_second_and_not_from_it_on() -> None:
    token = sign(CLAIMS, "k1", SECRETS["k1"])
    assert verify(token, SECRETS, CLAIMS.expires_s * 1000 - 1) == CLAIMS
    with pytest.raises(LinkExpired):
        verify(token, SECRETS, CLAIMS.expires_s * 1000)


def test_an_expired_forgery_is_invalid_and_not_expired() -> None:
    with pytest.raises(LinkInvalid):
        verify(sign(CLAIMS, "k1", b"other" * 8), SECRETS, CLAIMS.expires_s * 1000 + 1)


def test_tokens_of_an_older_secret_stay_valid_while_it_is_known() -> None:
    old, new = sign(CLAIMS, "k1", SECRETS["k1"]), sign(CLAIMS, "k2", SECRETS["k2"])
    assert verify(old, SECRETS, NOW_MS) == verify(new, SECRETS, NOW_MS)
    with pytest.raises(LinkInvalid):
        verify(old, {"k2": SECRETS["k2"]}, NOW_MS)


def test_a_token_is_bound_to_its_key_id() -> None:
    token = sign(CLAIMS, "k1", SECRETS["k1"])
    with pytest.raises(LinkInvalid):
        verify("k2" + token[2:], {"k1": SECRETS["k1"], "k2": SECRETS["k1"]}, NOW_MS)


def test_no_other_spelling_of_a_token_verifies() -> None:
    token = sign(CLAIMS, "k1", SECRETS["k1"])
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é"
    others = {token[:at] + char + token[at + 1 :] for at in range(len(token)) for char in alphabet}
    others |= {token + char for char in alphabet} | {token[:-1], token[1:], "." + token} - {token}
    for other in others - {token}:
        with pytest.raises(LinkInvalid):
            verify(other, SECRETS, NOW_MS)


def test_a_mac_made_for_another_purpose_does_not_verify() -> None:
    signed = sign(CLAIMS, "k1", SECRETS["k1"]).rpartition(".")[0]
    mac = hmac.digest(SECRETS["k1"], signed.encode(), "sha256")[:18]
    with pytest.raises(LinkInvalid):
        verify(f"{signed}.{base64.urlsafe_b64encode(mac).decode()}", SECRETS, NOW_MS)


@pytest.mark.parametrize("change", [{"what": "a\0b"}, {"filename": "x" * 4000}, {"link_id": "x" * 255}])
def test_claims_that_would_not_come_back_are_not_signed(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        sign(CLAIMS._replace(**change), "k1", SECRETS["k1"])


@given(claims)
def test_any_claims_come_back(value: LinkClaims) -> None:
    assert verify(sign(value, "k1", SECRETS["k1"]), SECRETS, 0) == value


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_fuzz_anything_else_is_invalid(text: str) -> None:
    for token in (text, f"k1.{text}", f"k1.{text}.{'A' * 24}"):
        with pytest.raises(LinkInvalid):
            verify(token, SECRETS, NOW_MS)
