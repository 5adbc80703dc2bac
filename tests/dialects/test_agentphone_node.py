"""AgentPhone's client for node against the vault as it runs. It spoils WAV and events by a fault of its own, so that it
is asked for JSON alone."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dialects.agentphone_calls import TURNS, begun, ended
from tests.dialects.npm import installed
from tests.integration.served import ServedVault

pytestmark = pytest.mark.xdist_group("agentphone-node")
FOLDER = Path(__file__).parent / "node_agentphone"
Steps = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedVault]:
    with ServedVault(tmp_path_factory.mktemp("agentphone") / "vault", private_webhooks="1") as vault:
        yield vault


@pytest.fixture(scope="module")
def home() -> Path:
    return installed(FOLDER)


@pytest.fixture
def done(vault: ServedVault, home: Path) -> Steps:
    def run(*steps: list[Any], key: str = vault.key) -> list[dict[str, Any]]:
        command = ["node", "steps.cjs", vault.url, key, json.dumps(steps)]
        ran = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


def test_the_lock_names_no_registry() -> None:
    assert "://" not in (FOLDER / "package-lock.json").read_text()


@pytest.mark.node
def test_calls_are_listed_got_made_and_ended(vault: ServedVault, done: Steps) -> None:
    with vault.client() as native:
        recorded = ended(native, begun(native, TURNS))
        live = begun(native)
    of_call = {"call_id": recorded.public_id}
    listed, got, transcript, numbered, of_agent, made, web, over = done(
        ["calls", "listCalls", {"status": "completed", "type": "pstn", "X-Sub-Account-Id": "sub_1"}],
        ["calls", "getCall", of_call],
        ["calls", "getCallTranscript", of_call],
        ["calls", "listCallsForNumber", {"number_id": "num_1", "limit": 1}],
        ["agents", "listAgentCalls", {"agent_id": "agt_ada"}],
        ["calls", "createOutboundCall", {"agentId": "agt_ada", "toNumber": "+15550142", "fromNumberId": "num_1"}],
        ["calls", "createWebCall", {"agentId": "agt_ada", "metadata": {"page": "support"}}],
        ["calls", "endCall", {"call_id": live.public_id}],
    )
    assert [call["id"] for call in listed["answer"]["data"]] == [recorded.public_id]
    assert (listed["answer"]["hasMore"], listed["answer"]["total"]) == (False, 1)
    assert got["answer"]["transcripts"][-1]["response"] == TURNS[-1]["content"]
    assert [turn["role"] for turn in transcript["answer"]["transcript"]] == ["agent", "user", "agent"]
    assert (len(numbered["answer"]["data"]), numbered["answer"]["hasMore"]) == (1, True)
    assert of_agent["answer"]["total"] == 2
    assert (made["answer"]["direction"], made["answer"]["status"]) == ("outbound", "in-progress")
    assert web["answer"]["accessToken"].startswith("cvpass_")
    assert (over["answer"]["id"], over["answer"]["status"]) == (live.public_id, "completed")


@pytest.mark.node
def test_a_webhook_is_set_read_counted_and_removed(done: Steps) -> None:
    none, made, read, log, stats, ever, gone = done(
        ["webhooks", "getWebhook"],
        ["webhooks", "createOrUpdateWebhook", {"body": {"url": "https://example.com/hook", "contextLimit": 5}}],
        ["webhooks", "getWebhook"],
        ["webhooks", "listDeliveries", {"limit": 10, "hours": 24}],
        ["webhooks", "deliveryStats", {"hours": 24}],
        ["webhooks", "allTimeStats"],
        ["webhooks", "deleteWebhook"],
    )
    assert none["answer"] is None
    assert made["answer"] == read["answer"]
    assert (made["answer"]["status"], made["answer"]["contextLimit"]) == ("active", 5)
    assert log["answer"]["items"] == [] and log["answer"]["limit"] == 10
    assert (stats["answer"]["total"], stats["answer"]["byHour"]) == (0, [])
    assert ever["answer"]["total"] == 0
    assert "error" not in gone


@pytest.mark.node
def test_errors_are_the_client_s_own(vault: ServedVault, done: Steps) -> None:
    missing, malformed = done(
        ["calls", "getCall", {"call_id": "call_nobody"}], ["calls", "createOutboundCall", {"agentId": "agt_ada"}]
    )
    assert (missing["error"], missing["statusCode"]) == ("AgentPhoneError", 404)
    assert missing["body"]["error"]["code"] == "NOT_FOUND"
    assert (malformed["error"], malformed["statusCode"]) == ("UnprocessableEntityError", 422)
    assert malformed["body"]["detail"][0]["loc"] == ["body", "toNumber"]
    (refused,) = done(["calls", "listCalls", {}], key="sk_live_of_nobody")
    assert (refused["error"], refused["statusCode"]) == ("AgentPhoneError", 401)
    assert httpx.get(f"{vault.url}/v1/calls").json() == refused["body"]
