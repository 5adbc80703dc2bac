"""Two servers and a worker on one PostgreSQL database and one S3 bucket: the same vault, whichever answers."""

import json
import time
from pathlib import Path

import httpx
import pytest

from tests.commands import command, serving
from tests.servers_s3 import S3Server

pytestmark = [pytest.mark.postgres, pytest.mark.s3]
FACTS = {"call": {"direction": "inbound", "participants": [{"id": "c", "role": "customer"}]}}
SOUND = bytes(range(256)) * 32


def until(client: httpx.Client, path: str, **wanted: object) -> dict[str, object]:
    give_up = time.monotonic() + 40
    while True:
        told: dict[str, object] = client.get(path).json()
        if wanted.items() <= told.items() or time.monotonic() > give_up:
            return told
        time.sleep(0.2)


def test_what_one_server_takes_in_the_other_hands_out(postgres_url: str, s3_server: S3Server, tmp_path: Path) -> None:
    shared = {
        "DATABASE": postgres_url,
        "STORAGE": s3_server.url(f"shared-{time.time_ns()}"),
        "STORAGE_ACCESS_KEY_ID": s3_server.key_id,
        "STORAGE_SECRET_ACCESS_KEY": s3_server.secret,
        "MASTER_KEY": "ab" * 32,
    }
    made = command("keys", "create", "--workspace", "acme", "--json", "--data", tmp_path / "cli", **shared)
    assert made.status == 0, made.err
    key = made.json["key"]
    with (
        serving(tmp_path / "one", **shared) as one,
        serving(tmp_path / "two", "--no-workers", **shared) as two,
        one.client(key) as first,
        two.client(key) as second,
    ):
        assert second.get("/readyz").json()["parts"] == {"database": "ok", "storage": "ok", "disk": "ok", "work": "ok"}
        recording = first.post("/api/v1/recordings", json=FACTS).json()["id"]
        take = f"/api/v1/recordings/{recording}/lanes/customer/takes/1?start=0"
        put = first.put(take, content=SOUND, headers={"content-type": "audio/PCMU;rate=8000"})
        assert put.status_code == 201, put.text
        assert first.post(f"/api/v1/recordings/{recording}/complete").is_success
        assert until(second, f"/api/v1/recordings/{recording}", status="completed")["status"] == "completed"
        sound = second.get(f"/api/v1/recordings/{recording}/audio.wav?view=customer")
        assert (sound.status_code, len(sound.content)) == (200, 44 + 2 * len(SOUND))
        assert sound.content == first.get(f"/api/v1/recordings/{recording}/audio.wav?view=customer").content
        assert command("keys", "revoke", made.json["id"], "--data", tmp_path / "cli", **shared).status == 0
        give_up = time.monotonic() + 15
        while second.get("/api/v1/recordings").status_code == 200 and time.monotonic() < give_up:
            time.sleep(0.2)
        assert {client.get("/api/v1/recordings").status_code for client in (first, second)} == {401}
    verified = command("verify", "--json", "--data", tmp_path / "cli", **shared)
    assert verified.status == 0, json.dumps(verified.json)
    assert verified.json["storage"]["objects"] > 0
    healthy = command("doctor", "--json", "--data", tmp_path / "cli", **shared)
    assert healthy.status == 0, healthy.out
    assert {"part": "bucket links", "state": "ok"}.items() <= healthy.json["findings"][6].items()
    elsewhere = shared["STORAGE"].replace(s3_server.public_endpoint, "http://127.0.0.1:1")
    lost = command("doctor", "--json", "--data", tmp_path / "cli", **{**shared, "STORAGE": elsewhere})
    assert lost.status == 0
    assert "cannot be followed" in lost.json["findings"][6]["what"]
    assert "public_endpoint" in lost.json["findings"][6]["mend"]
