"""Every OpenAPI document is true: whatever is asked, by whom knows the document, is answered as it says."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import Failure, FailureGroup

from callvault.web.app import all_parts
from callvault.web.openapi import document
from tests.integration.attacked import Attacked, attacked

load_all_checks()
CHECKED = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
    )
]
SERVER_ERROR = CHECKS.get_one("not_a_server_error")
NOT_IMPLEMENTED = 501
"""What is told by name to be not there yet is no error of the server's, where the document says so."""
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
EXAMPLES = 200 if LONG else 5
ENDLESS = {
    "GET /api/v1/recordings/{id}/transcript/stream",
    "GET /api/v1/events/stream",
    "GET /v1/calls/{call_id}/transcript/stream",
}
"""Server-sent events: a stream without an end has no answer to look at. They have tests of their own."""
LAST = ("PATCH /api/v1/workspace", "POST /credits/recording/disable")
"""What would make all that comes after it the same refusal."""
ORDER = ("OPTIONS", "GET", "POST", "PUT", "PATCH", "DELETE")
PARTS = {part.name: part for part in all_parts() if part.documented}
NATIVE_SHARES = 4
SHARES = [(name, share) for name in PARTS for share in range(NATIVE_SHARES if name == "native" else 1)]
"""The native API is large: several may work on it at once."""
SPEECH = b"\x10" * 8000
FILES = [file.read_bytes() for file in sorted((Path(__file__).parent.parent / "media" / "sound").glob("*.*"))]
BROUGHT = {
    media_type
    for path in document(PARTS["native"], "1")["paths"].values()
    for operation in path.values()
    for media_type in operation.get("requestBody", {}).get("content", ())
}
for media_type in BROUGHT - {"application/json"}:
    schemathesis.openapi.media_type(media_type, st.binary(max_size=2000) | st.sampled_from([SPEECH, *FILES]))
TUS = {"tus-resumable": "1.0.0", "upload-length": "99"}


@pytest.mark.parametrize(("name", "share"), SHARES)
def test_whatever_is_asked_by_a_document_is_answered_as_it_says(name: str, share: int) -> None:
    told, faults = keyless(document(PARTS[name], "1")), list[str]()
    asked = sorted((each for each in operations_of(told) if each.label not in ENDLESS), key=_turn)
    asked = asked[share::NATIVE_SHARES] if name == "native" else asked
    with attacked() as vault, requests.Session() as session:
        session.headers.update(_credential(told, vault.key))
        known, stocked_for = dict[str, list[str]](), ""
        for operation in asked:
            if operation.method != stocked_for or stocked_for == "delete":
                known, stocked_for = stocked(vault), operation.method
            for mode in _modes(operation):
                faults += _shot(operation, mode, known, vault.url, session)
    assert asked and not faults, "\n\n".join(faults)


@pytest.mark.parametrize("name", PARTS)
def test_a_wrong_key_is_told_so_as_the_document_says(name: str) -> None:
    told = document(PARTS[name], "1")
    secured = {f"{m.upper()} {path}" for path, item in told["paths"].items() for m in item if item[m]["security"]}
    assert secured
    with attacked() as vault, requests.Session() as session:
        session.headers.update(_credential(told, f"{vault.key[:-1]}_"))
        for operation in operations_of(keyless(told)):
            if operation.label in secured:
                anything = dict.fromkeys(re.findall("{(.+?)}", operation.path), "1")
                case = operation.Case(path_parameters=anything, media_type="application/json")
                response = case.call(base_url=vault.url, session=session, allow_redirects=False, timeout=30)
                assert response.status_code == 401, operation.label
                case.validate_response(response, checks=CHECKED)


def operations_of(told: dict[str, Any]) -> list[APIOperation]:
    return [made.ok() for made in schemathesis.openapi.from_dict(told).get_all_operations()]


def keyless(told: dict[str, Any]) -> dict[str, Any]:
    """The document, of which nobody tries what is asked without a key: that is another part's, for some paths."""
    paths = {
        path: {method: {**operation, "security": []} for method, operation in item.items()}
        for path, item in told["paths"].items()
    }
    return {**told, "paths": paths}


def _credential(told: dict[str, Any], key: str) -> dict[str, str]:
    scheme = told["components"]["securitySchemes"]["key"]
    return {scheme["name"]: key} if scheme["type"] == "apiKey" else {"authorization": f"Bearer {key}"}


def _turn(operation: APIOperation) -> tuple[bool, int]:
    return operation.label in LAST, ORDER.index(operation.method.upper())


def _modes(operation: APIOperation) -> list[GenerationMode]:
    """What can be wrong with a request; any text may stand in a path."""
    can_be_wrong = bool(operation.body or operation.query or operation.headers)
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if can_be_wrong else [])]


def _shot(
    operation: APIOperation,
    mode: GenerationMode,
    known: Mapping[str, Sequence[str]],
    url: str,
    session: requests.Session,
) -> list[str]:
    """What was wrong with an answer: nothing, or the first fault that was found, in its smallest form."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if LONG else (Phase.generate,),
        print_blob=False,
    )
    @given(case=operation.as_strategy(mode), data=st.data())
    def shoot(case: Case, data: st.DataObject) -> None:
        for name in case.path_parameters or {}:
            there = known.get(_before(operation.path, name), ())
            if there and data.draw(st.integers(0, 3)):
                case.path_parameters[name] = data.draw(st.sampled_from(there))
        response = case.call(base_url=url, session=session, allow_redirects=False, timeout=30)
        built = response.status_code != NOT_IMPLEMENTED
        case.validate_response(response, checks=[check for check in CHECKED if built or check is not SERVER_ERROR])

    try:
        shoot()
    except Unsatisfiable:
        return []
    except (FailureGroup, Failure) as fault:
        return [f"{operation.label} ({mode.value}): {fault}"]
    return []


def _before(path: str, name: str) -> str:
    """The segment before a parameter, which says what the parameter is one of."""
    return path.partition("{" + name)[0].rstrip("/").rpartition("/")[2]


def stocked(vault: Attacked) -> dict[str, list[str]]:
    """One of everything, by what stands before it in paths."""
    mark = os.urandom(4).hex()
    with vault.client() as client:
        made = client.post("/api/v1/recordings", json={"call": {"externalIds": {"crm": mark}}}).json()
        live = client.post("/api/v1/recordings", json={}).json()
        where, call = f"/api/v1/recordings/{made['id']}", made["call"]
        client.put(f"{where}/lanes/customer/takes/1?start=0", content=SPEECH, headers={"content-type": "audio/PCMU"})
        client.put(f"{where}/transcript", json={"turns": [{"role": "customer", "content": "hello", "start": 0}]})
        client.put(f"{where}/artifacts/call-logs", content=b'{"body":"ringing"}')
        assert client.post(f"{where}/complete").status_code == 200
        assert client.post(f"/api/v1/calls/{call['id']}/end").status_code == 200
        upload = client.post("/uploads", params={"recordingId": live["id"]}, headers=TUS).headers["location"]
        link = client.post(f"{where}/secure-url").json()["url"]
        hold = client.post(f"/api/v1/recordings/{live['id']}/holds", json={"reason": "a lawsuit"}).json()
        hook = client.post("/api/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9/"}).json()
        key = client.post("/api/v1/keys", json={"scopes": ["recordings:read"]}).json()
    return {
        "recordings": [made["id"], live["id"]],
        "calls": [call["publicId"], call["id"]],
        "call": [call["id"]],
        "chat": [str(call["chatId"])],
        "chats": [str(call["chatId"])],
        "w": [vault.run(vault.house.workspace()).id],
        "by": ["crm"],
        "{system}": [mark],
        "artifacts": ["call-logs", "pcap", "source"],
        "lanes": ["customer"],
        "takes": ["1", "2"],
        "uploads": [upload.rpartition("/")[2]],
        "link": [link.rpartition("/")[2]],
        "holds": [hold["id"]],
        "webhook-endpoints": [hook["id"]],
        "keys": [key["id"]],
    }
