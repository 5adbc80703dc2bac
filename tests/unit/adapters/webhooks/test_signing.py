"""Signatures, each checked as its receivers check it."""

import hashlib
import hmac
from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from callvault.adapters.webhooks.signing import SIGNERS
from callvault.domain.errors import Malformed
from callvault.ports.webhooks import Secret

BODY = '{"type":"recording.completed","text":"Grüße"}'.encode()
NOW_MS = 1_674_087_231_999
NEW, OLD = (bytes(range(n, n + 32)) for n in (0, 100))


def test_the_symmetric_signature_is_that_of_the_standards_own_example() -> None:
    """From the specification of Standard Webhooks."""
    secret = SIGNERS["v1"].given("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = SIGNERS["v1"].headers(
        [secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_with_two_secrets_a_message_has_two_signatures() -> None:
    signer = SIGNERS["v1"]
    secrets = [signer.new_secret(NEW), signer.new_secret(OLD)]
    each = [signer.headers([secret], "m", NOW_MS, BODY)["webhook-signature"] for secret in secrets]
    assert signer.headers(secrets, "m", NOW_MS, BODY)["webhook-signature"] == " ".join(each)


def test_the_ed25519_signature_is_verified_by_the_public_key() -> None:
    secret = SIGNERS["v1a"].new_secret(NEW)
    assert secret.public
    headers = SIGNERS["v1a"].headers([secret], "msg_1", NOW_MS, BODY)
    version, _, signature = headers["webhook-signature"].partition(",")
    public = Ed25519PublicKey.from_public_bytes(b64decode(secret.public.removeprefix("whpk_")))
    public.verify(b64decode(signature), b"msg_1.1674087231." + BODY)
    assert version == "v1a"


def test_vapi_gets_the_secret_itself_and_the_older_one_while_both_are_valid() -> None:
    signer = SIGNERS["vapi"]
    new, old = signer.given("the-new-secret"), signer.given("the-old-secret")
    assert signer.headers([new], "m", NOW_MS, BODY) == {"X-Vapi-Secret": "the-new-secret"}
    assert signer.headers([new, old], "m", NOW_MS, BODY) == {"X-Vapi-Secret": "the-old-secret"}


def test_agentphones_signature_is_over_the_timestamp_and_the_body() -> None:
    """WIRE, AgentPhone: `X-Webhook-Signature: sha256=<hex HMAC-SHA256(secret, "{timestamp}." + raw)>`."""
    secret = SIGNERS["agentphone"].new_secret(NEW)
    headers = SIGNERS["agentphone"].headers([secret], "msg_1", NOW_MS, BODY)
    expected = hmac.new(secret.text.encode(), b"1674087231." + BODY, hashlib.sha256).hexdigest()
    assert headers == {
        "X-Webhook-Signature": f"sha256={expected}",
        "X-Webhook-Timestamp": "1674087231",
        "X-Webhook-ID": "msg_1",
    }


def test_gravity_rails_signature_names_its_time_and_one_digest_for_each_secret() -> None:
    """WIRE, Gravity Rail: `X-Webhook-Signature: t={unix},v1={hex HMAC-SHA256("{t}."+raw)}`."""
    signer = SIGNERS["gravityrail"]
    secrets = [signer.new_secret(NEW), signer.new_secret(OLD)]
    digests = [hmac.new(s.text.encode(), b"1674087231." + BODY, hashlib.sha256).hexdigest() for s in secrets]
    header = signer.headers(secrets, "msg_1", NOW_MS, BODY)["X-Webhook-Signature"]
    assert header == f"t=1674087231,v1={digests[0]},v1={digests[1]}"


@pytest.mark.parametrize(("scheme", "secret"), [("v1", "whsec_"), ("v1", "whsec_AAAA"), ("v1", "x" * 40)])
def test_a_standard_secret_is_long_enough_and_says_what_it_is(scheme: str, secret: str) -> None:
    with pytest.raises(Malformed):
        SIGNERS[scheme].given(secret)


@pytest.mark.parametrize("secret", ["", " edge", "edge ", "line\r\nbreak", "ümläut-secret", "x" * 257])
def test_a_secret_that_goes_into_a_header_can_hurt_none(secret: str) -> None:
    for scheme in ("vapi", "agentphone", "gravityrail"):
        with pytest.raises(Malformed):
            SIGNERS[scheme].given(secret)


@pytest.mark.parametrize("secret", ["x", "short", "has a space in it", "!" * 256])
def test_a_secret_that_is_told_itself_is_whichever_a_header_can_bear(secret: str) -> None:
    assert SIGNERS["vapi"].headers([SIGNERS["vapi"].given(secret)], "m", NOW_MS, b"") == {"X-Vapi-Secret": secret}


@pytest.mark.parametrize("secret", ["short", "has a space in it"])
def test_a_secret_that_signs_is_long_enough(secret: str) -> None:
    for scheme in ("agentphone", "gravityrail"):
        with pytest.raises(Malformed):
            SIGNERS[scheme].given(secret)


def test_a_secret_is_not_shown_by_accident() -> None:
    assert "very-secret" not in repr(Secret("very-secret"))
