"""The customer opens an object without us: by the very programs that the documentation shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from callvault.adapters.blobs.disk import DiskBlobs
from callvault.adapters.blobs.sealed import SealedBlobs
from callvault.domain.stored import StoredObject
from callvault.wire.sealed import FRAME
from tests.contract.storages import WORKSPACE, keyring

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "open-with-your-own-key.md").read_text()
SOUND = os.urandom(3 * FRAME + 777)


def program(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture(scope="module")
def private_pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("customer") / "private.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(path), "2048"], check=True, capture_output=True)
    return path


@pytest.fixture
def blobs(private_pem: Path, tmp_path: Path) -> SealedBlobs:
    made = subprocess.run(
        ["openssl", "rsa", "-in", str(private_pem), "-pubout"], check=True, capture_output=True, text=True
    )
    return SealedBlobs(DiskBlobs(tmp_path), keyring(customer=made.stdout))


def opened_by(language: str, obj: StoredObject, folder: Path, private_pem: Path) -> subprocess.CompletedProcess[bytes]:
    stored, sealing = str(folder / obj.key), obj.customer_sealing or ""
    command = {
        "sh": ["sh", "-c", program("sh"), "open.sh", stored, sealing, str(private_pem)],
        "python": [sys.executable, "-c", program("python"), stored, obj.key, sealing, str(private_pem)],
    }
    return subprocess.run(command[language], capture_output=True, check=False)


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, len(SOUND)])
@pytest.mark.parametrize("language", ["sh", "python"])
def test_the_documented_programs_open_an_object(
    language: str, size: int, blobs: SealedBlobs, tmp_path: Path, private_pem: Path
) -> None:
    obj = blobs.put(f"{WORKSPACE}/r/x", [SOUND[:size]], workspace_id=WORKSPACE)
    done = opened_by(language, obj, tmp_path, private_pem)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == SOUND[:size]


def test_the_documented_proof_refuses_what_was_changed(blobs: SealedBlobs, tmp_path: Path, private_pem: Path) -> None:
    obj = blobs.put(f"{WORKSPACE}/r/x", [SOUND], workspace_id=WORKSPACE)
    path = tmp_path / obj.key
    whole = path.read_bytes()
    for changed in (whole[:-1], whole[: 16 + 65_552], whole[:20] + bytes([whole[20] ^ 1]) + whole[21:], whole + b"x"):
        path.write_bytes(changed)
        done = opened_by("python", obj, tmp_path, private_pem)
        assert done.returncode != 0
        assert SOUND.startswith(done.stdout)


def test_the_documented_fingerprint_is_ours(blobs: SealedBlobs, private_pem: Path) -> None:
    obj = blobs.put(f"{WORKSPACE}/r/x", [b"x"], workspace_id=WORKSPACE)
    [command] = re.findall(r"`(openssl pkey .*?)`", PAGE)
    public = private_pem.with_name("public.pem")
    subprocess.run(["openssl", "rsa", "-in", str(private_pem), "-pubout", "-out", str(public)], check=True)
    done = subprocess.run(["sh", "-c", command], cwd=public.parent, capture_output=True, text=True, check=True)
    assert (obj.customer_sealing or "").partition(".")[0] == done.stdout[:16]
