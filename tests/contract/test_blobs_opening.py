"""One URL opens a storage, and what is given for it counts, whatever the environment says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from callvault.adapters.blobs.opening import open_blobs, open_presigner
from callvault.domain.errors import Misconfigured
from callvault.ports.blobs import Presigning

SIGNED_BY_THE_CLIENT = (
    "import obstore, datetime\n"
    "from callvault.adapters.blobs.opening import open_blobs\n"
    "blobs = open_blobs('s3://bucket/p?region=eu-west-1', {credentials})\n"
    "print(obstore.sign(blobs._inner._store, 'GET', 'k', datetime.timedelta(seconds=9)))\n"
)


def signed_by_the_client(credentials: str) -> str:
    of_the_environment = {
        "AWS_ACCESS_KEY_ID": "environments-id",
        "AWS_SECRET_ACCESS_KEY": "environments-secret",
        "AWS_SESSION_TOKEN": "environments-token",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    program = SIGNED_BY_THE_CLIENT.replace("{credentials}", credentials)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **of_the_environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_credentials_that_are_given_count_and_none_of_the_environment_s() -> None:
    url = signed_by_the_client("{'access_key_id': 'mine', 'secret_access_key': 'secret'}")
    assert url.startswith("https://bucket.s3.eu-west-1.amazonaws.com/p/k?")
    assert "mine" in url
    assert "environments" not in url


def test_without_any_the_environment_s_are_found_and_nothing_else_of_it() -> None:
    url = signed_by_the_client("{}")
    assert url.startswith("https://bucket.s3.eu-west-1.amazonaws.com/p/k?")
    assert "environments-id" in url
    assert "environments-token" in url


@pytest.mark.parametrize("url", ["s3:bucket", "ftp://x", "s3://bucket?regoin=x", "file://relative/path"])
def test_a_wrong_url_is_the_operator_s_to_mend(url: str) -> None:
    for opening in (open_blobs, open_presigner):
        with pytest.raises(Misconfigured):
            opening(url)


def test_folders_and_memory_open_and_sign_nothing(tmp_path: Path) -> None:
    for url in (f"file://{tmp_path}/deep/down", "memory:"):
        blobs = open_blobs(url)
        blobs.check()
        assert open_presigner(url) is None


def test_a_new_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    open_blobs(f"file://{tmp_path}/objects")
    assert (tmp_path / "objects").stat().st_mode & 0o777 == 0o700


def test_what_signs_is_a_presigning_one() -> None:
    for url, credentials in (
        ("s3://bucket", {"access_key_id": "id", "secret_access_key": "secret"}),
        ("az://box?account=name", {"account_key": "a2V5"}),
    ):
        assert isinstance(open_presigner(url, credentials), Presigning)
