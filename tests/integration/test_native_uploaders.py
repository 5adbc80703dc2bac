"""The tus clients that people have, against the program as it runs: over restarts and kills."""

import io
import shutil
import subprocess
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from tusclient.client import TusClient
from tusclient.uploader import Uploader

from tests.integration.served import ServedVault

CHUNK = 64 << 10


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[ServedVault]:
    with ServedVault(tmp_path / "vault") as vault:
        yield vault


def stereo_file(path: Path, seconds: int) -> np.ndarray:
    sound = np.random.default_rng(3).integers(-9000, 9000, (seconds * 8000, 2), np.int16)
    with wave.open(str(path), "wb") as out:
        out.setparams((2, 2, 8000, 0, "NONE", ""))
        out.writeframes(sound.tobytes())
    return sound


def recording_in(vault: ServedVault) -> str:
    with vault.client() as client:
        return client.post("/api/v1/recordings", json={}).json()["id"]


def completed(vault: ServedVault, recording_id: str) -> dict:
    with vault.client() as client:
        for _ in range(150):
            told = client.get(f"/api/v1/recordings/{recording_id}").json()
            if told["status"] == "completed":
                return told
            time.sleep(0.1)
        jobs = client.get("/api/v1/jobs").json()
    raise AssertionError(jobs)


def upload_of(vault: ServedVault, recording_id: str, path: Path, **more: object) -> Uploader:
    facts = {
        "recordingId": recording_id,
        "channels": "customer,assistant",
        "filetype": "audio/wav",
        "complete": "true",
    }
    to = TusClient(f"{vault.url}/uploads", headers={"Authorization": f"Bearer {vault.key}"})
    return to.uploader(str(path), chunk_size=CHUNK, metadata=facts, **more)


def test_tuspy_uploads_and_resumes_over_a_stop_and_a_kill(vault: ServedVault, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    sound = stereo_file(path, 20)
    recording_id = recording_in(vault)
    uploader = upload_of(vault, recording_id, path, upload_checksum=True)
    uploader.upload(stop_at=3 * CHUNK)
    assert vault.stop() == 0
    vault.start()
    resumed = upload_of(vault, recording_id, path, url=uploader.url, upload_checksum=True)
    assert resumed.offset == 3 * CHUNK
    resumed.upload(stop_at=5 * CHUNK)
    vault.kill()
    vault.start()
    last = upload_of(vault, recording_id, path, url=uploader.url)
    assert last.offset == 5 * CHUNK
    last.upload()
    told = completed(vault, recording_id)
    assert (told["duration"], told["channels"], told["sampleRate"]) == (20, 2, 8000)
    with vault.client() as client:
        heard = client.get(f"/api/v1/recordings/{recording_id}/audio.wav?view=stereo").content
    with wave.open(io.BytesIO(heard)) as wav:
        assert np.array_equal(np.frombuffer(wav.readframes(wav.getnframes()), np.int16).reshape(-1, 2), sound)


TUS_JS = """
const tus = require('tus-js-client'); const fs = require('fs');
const [url, key, recordingId, path] = process.argv.slice(2);
const upload = new tus.Upload(fs.createReadStream(path), {
  endpoint: url + '/uploads', chunkSize: 65536, uploadSize: fs.statSync(path).size, retryDelays: [100, 200],
  headers: {Authorization: 'Bearer ' + key},
  metadata: {recordingId, channels: 'customer,assistant', filetype: 'audio/wav', complete: 'true'},
  onError: (error) => { console.error(String(error)); process.exit(1) },
  onSuccess: () => { console.log(upload.url) },
});
upload.start();
"""


@pytest.fixture(scope="session")
def tus_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tus-js-client in it."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not there")
    folder = tmp_path_factory.mktemp("tus-js")
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "tus-js-client@4.3.1"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if installed.returncode:
        pytest.skip(f"tus-js-client cannot be had: {installed.stderr[-200:]}")
    (folder / "upload.cjs").write_text(TUS_JS)
    return folder


@pytest.mark.node
def test_tus_js_client_uploads(vault: ServedVault, tus_js: Path, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    stereo_file(path, 12)
    recording_id = recording_in(vault)
    command = ["node", "upload.cjs", vault.url, vault.key, recording_id, str(path)]
    done = subprocess.run(command, cwd=tus_js, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(f"{vault.url}/uploads/")
    assert completed(vault, recording_id)["duration"] == 12
    assert httpx.head(done.stdout.strip(), headers={**vault.headers, "tus-resumable": "1.0.0"}).status_code == 200
