"""Vapi's own client for Node against the vault as it runs; where npm is."""

import json
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import command
from tests.dialects.npm import installed
from tests.dialects.soundcalls import Sounded, begun, ended, same_logs, with_artifacts
from tests.integration.served import ServedVault

HERE = Path(__file__).parent / "node_vapi"
NO_CALL = "01890a5d-ac96-774b-bcce-b302099a8057"
ENDPOINTS = {
    "MonoRecording": "mono-recording",
    "StereoRecording": "stereo-recording",
    "CustomerRecording": "customer-recording",
    "AssistantRecording": "assistant-recording",
    "VideoRecording": "video-recording",
    "Pcap": "pcap",
}

pytestmark = [pytest.mark.node, pytest.mark.xdist_group("vapi-node")]


@pytest.fixture(scope="module")
def home() -> Path:
    return installed(HERE)


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[ServedVault]:
    with ServedVault(tmp_path_factory.mktemp("vapi-node") / "vault") as vault:
        yield vault


@pytest.fixture(scope="module")
def sounded(vault: ServedVault) -> Sounded:
    with vault.client() as native:
        return ended(native, with_artifacts(native, begun(native)))


@pytest.fixture(scope="module")
def told(vault: ServedVault, sounded: Sounded, home: Path) -> Any:
    made = command("keys", "create", "--workspace", "default", "--public", "--json", DATA=str(vault.data))
    asked = {"url": vault.url, "key": vault.key, "publicKey": made.json["key"], "call": sounded.id, "missing": NO_CALL}
    run = subprocess.run(
        ["node", "artifacts.mjs", json.dumps(asked)],
        check=False,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_artifact_is_downloaded_whole(told: Any, sounded: Sounded, endpoint: str) -> None:
    got = told["artifacts"][endpoint]
    assert got["redirected"] is True
    assert b64decode(got["bytes"]) == sounded.files[ENDPOINTS[endpoint]]


def test_call_logs_come_gzipped_as_they_are_kept(told: Any) -> None:
    logs = told["artifacts"]["CallLogs"]
    assert same_logs(b64decode(logs["bytes"])) and logs["type"] == "application/gzip"


def test_calls_are_got_listed_created_renamed_and_deleted_twice(
    told: Any, vault: ServedVault, sounded: Sounded
) -> None:
    assert (told["got"]["id"], told["listed"], told["none"]) == (sounded.id, [sounded.id], [])
    assert (
        told["got"]["artifact"]["recording"]["mono"]["combinedUrl"] == f"{vault.url}/call/{sounded.id}/mono-recording"
    )
    created = told["created"]
    assert created["status"] == "queued" and created["monitor"]["listenUrl"].startswith("ws://")
    assert (told["updated"]["id"], told["updated"]["name"]) == (created["id"], "renamed")
    assert told["deleted"]["id"] == told["deletedAgain"]["id"] == created["id"]


def test_errors_are_the_client_s_own_with_their_bodies(told: Any) -> None:
    missing = {"message": "Artifact not found.", "error": "Not Found", "statusCode": 404}
    assert told["notFound"] == {"kind": "NotFoundError", "status": 404, "body": missing}
    wrong = {"message": "Unauthorized — missing or invalid API token.", "error": "Unauthorized", "statusCode": 401}
    assert told["unauthorized"] == {"kind": "UnauthorizedError", "status": 401, "body": wrong}
    assert (told["publicKey"]["kind"], told["publicKey"]["status"]) == ("VapiError", 403)


def test_the_lock_names_no_registry() -> None:
    assert "://" not in (HERE / "package-lock.json").read_text()
