"""`callvault serve` as a program: its first start, its neighbours on the command line, and every way to end it."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.commands import PATIENCE_SECONDS, Server, command, keys_in, serving

FACTS = {"call": {"direction": "inbound", "from": "+14155550123"}}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return tmp_path / "vault"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server]]:
    """A server for those who leave it as it was."""
    folder = tmp_path_factory.mktemp("shared") / "vault"
    with serving(folder, "--no-workers") as server:
        yield folder, server


@contextlib.contextmanager
def refused(folder: Path, *args: str, **environ: str) -> Iterator[subprocess.CompletedProcess[str]]:
    """A start that is expected to end by itself."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLVAULT_")}
    yield subprocess.run(
        [sys.executable, "-m", "callvault", "serve", "--port", "0", "--data", str(folder), *args],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env=inherited | {f"CALLVAULT_{name}": value for name, value in environ.items()},
    )


def test_a_first_start_makes_all_it_needs_tells_its_key_once_and_forgets_nothing(vault: Path) -> None:
    with serving(vault, "--no-workers") as first, first.client() as client:
        assert first.key
        assert client.get("/readyz").json()["status"] == "ok"
        assert client.post("/api/v1/recordings", json=FACTS).status_code == 201
        create = ("keys", "create", "--workspace", "default", "--scopes", "audit:read", "--json", "--data", vault)
        weak = {"authorization": f"Bearer {command(*create).json['key']}"}
        for n in range(20):
            assert client.get("/api/v1/recordings", headers=weak | {"x-request-id": f"read-{n}"}).status_code == 403
        assert first.stop() < 10
        assert first.process.returncode == 0
    export = command("audit", "export", "--workspace", "default", "--data", vault)
    entries = [json.loads(line) for line in export.out.splitlines()]
    refusals = [entry["request_id"] for entry in entries if entry["outcome"] == "refused"]
    assert refusals == [f"read-{n}" for n in range(20)]
    assert command("verify", "audit", "--data", vault).status == 0
    with serving(vault) as second:
        assert second.key is None
        with second.client(first.key) as client:
            assert len(client.get("/api/v1/recordings").json()["data"]) == 1
        second.stop()
        log = second.log.read_text()
    assert all(json.loads(line)["requestId"] for line in log.splitlines())
    assert "GET /api/v1/recordings 403" in log
    assert not keys_in(log)
    assert "4155550123" not in log


def test_keys_are_made_and_revoked_beside_a_running_server(running: tuple[Path, Server]) -> None:
    folder, server = running
    made = command("keys", "create", "--workspace", "acme", "--json", "--data", folder).json
    with server.client(made["key"]) as client:
        assert client.get("/api/v1/recordings").status_code == 200
        assert command("keys", "revoke", made["id"], "--data", folder).status == 0
        give_up = time.monotonic() + 15
        while (answer := client.get("/api/v1/recordings")).status_code == 200 and time.monotonic() < give_up:
            time.sleep(0.2)
        assert answer.status_code == 401
    verified = command("verify", "audit", "--json", "--data", folder)
    assert verified.status == 0, verified.out


def test_a_websocket_that_is_refused_is_no_error(vault: Path) -> None:
    with serving(vault, "--no-workers") as server:
        with pytest.raises(InvalidStatus) as refusal:
            connect(f"{server.url.replace('http', 'ws')}/streams?token=wrong")
        server.stop()
        told = refusal.value.response
        assert (told.status_code, told.headers["x-content-type-options"]) == (401, "nosniff")
        assert told.headers["content-length"] == str(len(told.body))
        assert json.loads(told.body)["requestId"] == told.headers["x-request-id"]
        assert '"error"' not in server.log.read_text()


def test_a_server_that_says_it_is_ready_ends_as_it_should_from_then_on(vault: Path) -> None:
    with serving(vault) as server:
        assert server.stop() < 10
        assert server.process.returncode == 0


def begin_post(server: Server, body: bytes) -> http.client.HTTPConnection:
    """A request that the server has begun to work on, with half of its body on the way."""
    connection = http.client.HTTPConnection(*server.url.removeprefix("http://").split(":"), timeout=PATIENCE_SECONDS)
    connection.putrequest("POST", "/api/v1/recordings")
    connection.putheader("authorization", f"Bearer {server.key}")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(len(body)))
    connection.putheader("expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(body[: len(body) // 2])
    return connection


def wait_until_nobody_listens(server: Server) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    with contextlib.suppress(httpx.TransportError):
        while time.monotonic() < give_up:
            httpx.get(f"{server.url}/healthz", timeout=PATIENCE_SECONDS)
        pytest.fail("the server takes connections still")


def test_a_server_that_is_told_to_stop_answers_what_it_was_asked(vault: Path) -> None:
    body = json.dumps(FACTS).encode()
    with serving(vault) as server:
        connection = begin_post(server, body)
        server.process.send_signal(signal.SIGTERM)
        wait_until_nobody_listens(server)
        connection.send(body[len(body) // 2 :])
        assert connection.getresponse().status == 201
        connection.close()
        assert server.process.wait(PATIENCE_SECONDS) == 0


def test_a_server_leaves_in_time_however_long_a_request_takes(vault: Path) -> None:
    with serving(vault) as server:
        connection = begin_post(server, json.dumps(FACTS).encode())
        assert server.stop() < 10
        connection.close()


def test_a_server_leaves_in_time_though_its_storage_does_not_answer_and_keeps_what_it_took_in(vault: Path) -> None:
    sound = bytes(range(256)) * 32
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        storage = f"s3://bucket?region=us-east-1&endpoint=http://127.0.0.1:{silent.getsockname()[1]}"
        away = {"STORAGE": storage, "STORAGE_ACCESS_KEY_ID": "a", "STORAGE_SECRET_ACCESS_KEY": "b"}
        with serving(vault, **away) as server, server.client() as client:
            key, recording = server.key, client.post("/api/v1/recordings", json=FACTS).json()["id"]
            take = f"/api/v1/recordings/{recording}/lanes/customer/takes/1?start=0"
            put = client.put(take, content=sound, headers={"content-type": "audio/PCMU;rate=8000"})
            assert put.status_code == 201, put.text
            assert client.get("/readyz").json()["parts"]["storage"] == "no_answer"
            assert server.stop() < 10
            assert server.process.returncode == 0
            assert "left without waiting" in server.log.read_text()
        with serving(vault, **away) as again, again.client(key) as client:
            heard = client.get(f"/api/v1/recordings/{recording}/audio.wav?live=1&view=customer")
            assert (heard.status_code, len(heard.content)) == (200, 44 + 2 * len(sound))


def begin_listening(server: Server) -> tuple[http.client.HTTPResponse, int]:
    """An answer of more than the system holds for a client that takes none of it, and its length."""
    silence_ms = 2_000_000
    with server.client() as client:
        recording = client.post("/api/v1/recordings", json=FACTS).json()["id"]
        take = f"/api/v1/recordings/{recording}/lanes/customer/takes/1?start={silence_ms}"
        put = client.put(take, content=bytes(8), headers={"content-type": "audio/PCMU;rate=8000"})
        assert put.status_code == 201, put.text
    connection = http.client.HTTPConnection(*server.url.removeprefix("http://").split(":"), timeout=PATIENCE_SECONDS)
    headers = {"authorization": f"Bearer {server.key}", "x-request-id": "listening"}
    connection.request("GET", f"/api/v1/recordings/{recording}/audio.wav?live=1&view=customer", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer, 44 + 2 * (8 * silence_ms + 8)


def bytes_told(server: Server) -> list[int]:
    """Of the answer that somebody began to listen to."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [line["bytes"] for line in lines if line.get("requestId") == "listening" and "bytes" in line]


def test_a_server_that_is_told_to_stop_sends_all_of_what_it_began_to_send(vault: Path) -> None:
    with serving(vault) as server:
        answer, length = begin_listening(server)
        server.process.send_signal(signal.SIGTERM)
        wait_until_nobody_listens(server)
        assert len(answer.read()) == length
        assert server.process.wait(PATIENCE_SECONDS) == 0
        assert bytes_told(server) == [length]


def test_a_server_leaves_in_time_though_a_listener_takes_nothing(vault: Path) -> None:
    with serving(vault) as server:
        answer, length = begin_listening(server)
        assert server.stop() < 10
        assert server.process.returncode == 0
        assert 0 < bytes_told(server)[0] < length
        answer.close()


def test_a_killed_server_starts_again_with_all_it_had(vault: Path) -> None:
    with serving(vault) as server, server.client() as client:
        key = server.key
        made = [client.post("/api/v1/recordings", json=FACTS).json()["id"] for _ in range(5)]
        server.stop(signal.SIGKILL)
    with serving(vault) as again, again.client(key) as client:
        assert {recording["id"] for recording in client.get("/api/v1/recordings").json()["data"]} == set(made)
    assert command("verify", "--data", vault).status == 0


def test_a_second_server_on_the_same_folder_is_refused(running: tuple[Path, Server]) -> None:
    with refused(running[0]) as second:
        assert second.returncode == 3
        assert str(running[0] / "spool") in second.stderr


def test_a_port_that_is_taken_is_named(vault: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with refused(vault, "--port", str(port)) as start:
            assert start.returncode == 3
            assert f"cannot listen on 127.0.0.1:{port}" in start.stderr
            assert "--port" in start.stderr


def test_wrong_settings_stop_the_start_and_are_all_told(vault: Path) -> None:
    with refused(vault, LOG_LEVEL="loud", XYZZY="1", PUBLIC_URL="here") as start:
        assert start.returncode == 3
        assert len(start.stderr.splitlines()) == 3
    assert not vault.exists()


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")
def test_a_full_disk_is_told_and_harms_nothing(tmp_path: Path) -> None:
    """On a disk of its own, in a mount namespace of its own, which this user may or may not make."""
    script = (
        'mount -t tmpfs -o size=3m none "$1" || exit 77\n'
        'cd "$1" && "$2" -m callvault workspaces create acme --data vault >/dev/null || exit 78\n'
        "head -c 10m /dev/zero > filling 2>/dev/null\n"
        '"$2" -m callvault workspaces create other --data vault; told=$?\n'
        "rm filling\n"
        '"$2" -m callvault verify --data vault && "$2" -m callvault workspaces list --json --data vault; exit $told\n'
    )
    run = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", str(tmp_path), sys.executable],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if run.returncode in (1, 77):
        pytest.skip("this user may make no mounts")
    assert run.returncode == 4, run.stderr
    assert "full: free space under" in run.stderr
    assert [each["name"] for each in json.loads(run.stdout.splitlines()[-1])["workspaces"]] == ["acme"]


FORWARDED = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7", "host": "vault.example.com"}


def told_and_noted(server: Server) -> tuple[str, str | None, str]:
    """Where a client behind a proxy is sent, what it is told of TLS, and which address the audit has of it."""
    with server.client() as client:
        sent = client.get("/", headers=FORWARDED)
        client.post("/api/v1/recordings", json=FACTS, headers=FORWARDED | {"x-request-id": "made"})
        entries = client.get("/api/v1/audit", params={"limit": 200}, headers=FORWARDED).json()["data"]
    address = next(entry["address"] for entry in entries if entry["requestId"] == "made")
    return sent.headers["location"], sent.headers.get("strict-transport-security"), address


def test_a_trusted_proxy_is_believed_and_nobody_else(vault: Path) -> None:
    with serving(vault, "--no-workers") as server:
        expected = ("https://vault.example.com/ui/", "max-age=31536000", "203.0.113.7")
        assert told_and_noted(server) == expected
    with serving(vault.with_name("other"), "--no-workers", TRUSTED_PROXIES="10.0.0.1") as server:
        assert told_and_noted(server) == ("http://vault.example.com/ui/", None, "127.0.0.1")
