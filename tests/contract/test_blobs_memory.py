"""How much memory a huge object takes on its way: a few parts, however long it is, in the client's own memory too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers_s3 import S3Server

PROGRAM = """
import json, sys
from pathlib import Path
from callvault.adapters.blobs.opening import open_blobs
from callvault.adapters.blobs.sealed import SealedBlobs
from tests.contract.storages import WORKSPACE, keyring

def peak():
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024

url, credentials, sealed, mib = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3] == "sealed", int(sys.argv[4])
blobs = open_blobs(url, credentials)
blobs = SealedBlobs(blobs, keyring()) if sealed else blobs
small = blobs.put("w/small", [bytes(2**20)] * 2, workspace_id=WORKSPACE)
assert sum(map(len, blobs.stream(small))) == 2 * 2**20
idle = peak()
block = bytes(range(256)) * 4096
obj = blobs.put("w/huge", (block for _ in range(mib)), workspace_id=WORKSPACE)
put = peak()
assert sum(map(len, blobs.stream(obj))) == mib * 2**20 == obj.size
print(round(put - idle, 1), round(peak() - idle, 1))
"""


@pytest.mark.parametrize("sealed", ["plain", "sealed"])
@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_a_huge_object_takes_no_more_memory_than_a_few_parts(
    kind: str, sealed: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, credentials = f"file://{tmp_path}", "{}"
    if kind == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        url = server.url(f"huge-{sealed}-{tmp_path.name.lower()}")
        credentials = json.dumps(server.credentials)
    command = [sys.executable, "-c", PROGRAM, url, credentials, sealed, "256"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stderr
    grown = [float(number) for number in done.stdout.split()]
    assert max(grown) < (64 if kind == "s3" else 8), grown
