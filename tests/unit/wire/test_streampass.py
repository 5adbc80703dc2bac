"""Stream passes: what was signed is what is read, and nothing else is believed."""

from dataclasses import replace

import pytest

from callvault.domain.errors import NotAuthenticated
from callvault.wire.streampass import PREFIX, PassClaims, sign, verify

CLAIMS = PassClaims(call_id="0199-call", issued_by="0199-key", expires_s=1_760_000_030)
SECRETS = {"new": b"n" * 32, "old": b"o" * 32}
NOW_MS = 1_760_000_029_999


def test_a_pass_tells_what_was_signed_under_any_secret_that_is_believed() -> None:
    for name, secret in SECRETS.items():
        token = sign(CLAIMS, name, secret)
        assert token.startswith(PREFIX)
        assert verify(token, SECRETS, NOW_MS) == CLAIMS


def test_a_pass_ends_to_the_second() -> None:
    with pytest.raises(NotAuthenticated):
        verify(sign(CLAIMS, "new", SECRETS["new"]), SECRETS, NOW_MS + 1)


def test_no_character_of_a_pass_can_be_changed() -> None:
    token = sign(CLAIMS, "new", SECRETS["new"])
    for at in range(len(token)):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(NotAuthenticated):
            verify(changed, SECRETS, NOW_MS)


@pytest.mark.parametrize("token", ["", "cvpass_", "cvpass_new..", "cvpass_new.AAAA.AAAA", "é.é.é", "x" * 5000])
def test_what_was_never_signed_is_refused(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        verify(token, SECRETS, NOW_MS)


def test_a_secret_that_is_gone_opens_nothing() -> None:
    token = sign(replace(CLAIMS, call_id="other"), "old", SECRETS["old"])
    with pytest.raises(NotAuthenticated):
        verify(token, {"new": SECRETS["new"]}, NOW_MS)
