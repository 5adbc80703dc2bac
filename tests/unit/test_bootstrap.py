"""What the house is made of: keys, secrets, and everybody's work."""

import asyncio
import os
from pathlib import Path
from uuid import uuid4

import pytest

from callvault.adapters.blobs.retrying import IN_MEMORY
from callvault.adapters.keys.file import FileMasterKeys
from callvault.adapters.keys.master import create_master_key
from callvault.adapters.spool.memory import MemorySpool
from callvault.bootstrap import SPARE_BYTES, assemble, opened, web_options
from callvault.bootstrap.adapters import link_secrets, open_engine
from callvault.bootstrap.work import worker
from callvault.domain.errors import BlobsUnavailable, DiskFull, KeyUnavailable, Misconfigured, WorkStopped
from callvault.ports.blobs import Blobs
from callvault.settings import Settings
from tests.webhouse import memory_adapters

OLD, NEW = "a1" * 32, "b2" * 32


def write(path: Path, text: str) -> None:
    """As a rotation does: a new file in the old one's place."""
    written = path.with_suffix(".new")
    written.touch(0o600)
    written.write_text(text)
    os.replace(written, path)


def test_a_rotated_master_key_is_noticed_while_the_program_runs(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    write(path, OLD)
    keys = FileMasterKeys(path)
    wrapped, before = keys.wrap(b"k" * 32, "w"), keys.id
    write(path, f"{NEW}\n{OLD}\n")
    assert keys.id != before
    assert keys.unwrap(wrapped, "w") == b"k" * 32
    write(path, NEW)
    with pytest.raises(KeyUnavailable):
        keys.unwrap(wrapped, "w")


@pytest.mark.parametrize("spoilt", ["nonsense", None])
def test_a_master_key_that_becomes_unreadable_stays_in_force(tmp_path: Path, spoilt: str | None) -> None:
    path = tmp_path / "master.key"
    create_master_key(path)
    keys = FileMasterKeys(path)
    wrapped = keys.wrap(b"k" * 32, "w")
    if spoilt is None:
        path.unlink()
    else:
        write(path, spoilt)
    assert keys.unwrap(wrapped, "w") == b"k" * 32


def test_link_secrets_are_made_of_their_sources_and_tell_nothing_of_them() -> None:
    secrets = link_secrets([NEW, OLD])
    assert list(secrets) == [*link_secrets([NEW]), *link_secrets([OLD])]
    assert all(len(secret) == 32 for secret in secrets.values())
    assert secrets == link_secrets([NEW, OLD])
    assert not {bytes.fromhex(OLD), bytes.fromhex(NEW), OLD.encode(), NEW.encode()} & set(secrets.values())


@pytest.mark.parametrize(("idle", "stall"), [(5, 60), (300, 300)])
def test_a_live_sender_may_pause_for_as_long_as_its_recording_waits(tmp_path: Path, idle: int, stall: float) -> None:
    assert web_options(Settings(data=tmp_path, idle_complete_seconds=idle)).stall_seconds == stall


async def test_a_worker_knows_the_jobs_of_every_service(tmp_path: Path) -> None:
    settings, adapters = Settings(data=tmp_path), memory_adapters()
    services = assemble(adapters, settings)
    made = worker(services, adapters, open_engine(settings, adapters), "")
    assert {"purge", "render", "compact"} <= {name.partition(".")[0] for name in made._kinds}
    assert len(made._duties) > 5


async def test_a_data_folder_that_is_gone_is_a_disk_that_is_down(tmp_path: Path) -> None:
    folder = tmp_path / "vault"
    checks = assemble(memory_adapters(), Settings(data=folder)).checks
    with pytest.raises(Misconfigured, match="vault cannot be used: No such file"):
        await checks["disk"]()
    folder.mkdir()
    await checks["disk"]()


async def test_a_spool_that_cannot_be_written_is_a_disk_that_is_down(tmp_path: Path) -> None:
    adapters = memory_adapters()
    adapters.spool = FailingSpool()
    with pytest.raises(BlobsUnavailable):
        await assemble(adapters, Settings(data=tmp_path)).checks["disk"]()


class FailingSpool(MemorySpool):
    def check(self) -> None:
        raise BlobsUnavailable(why="the spool cannot be used")


def put(blobs: Blobs, workspace: str, size: int) -> int:
    return blobs.put(f"{workspace}/{uuid4()}", [bytes(size)], workspace_id=workspace).size


@pytest.mark.parametrize(("storage", "small"), [("", 0), ("memory:", IN_MEMORY)])
async def test_on_a_disk_with_nothing_but_the_spare_room_calls_go_on_and_files_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str, small: int
) -> None:
    async with opened(Settings(data=tmp_path, storage=storage), node=True) as house:
        key = await house.first_key()
        assert key
        workspace, services = key.row.workspace_id, house.services
        await services.sealing.ensure(workspace, ())
        spare = os.statvfs_result([1, 1, 1 << 40, SPARE_BYTES, SPARE_BYTES, 0, 0, 0, 0, 255])
        monkeypatch.setattr(os, "statvfs", lambda path: spare)
        large = small + 2**21
        with pytest.raises(DiskFull):
            put(services.blobs, workspace, large)
        with services.room.scratch(1) as file, pytest.raises(DiskFull):
            file.write(b"xx")
        assert put(house.adapters.blobs, workspace, large) == large
        assert not small or put(services.blobs, workspace, small) == small
        house.adapters.spool.append("r", workspace, []).result()
        await services.checks["disk"]()
        monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result([*spare[:4], SPARE_BYTES - 1, *spare[5:]]))
        with pytest.raises(DiskFull):
            house.adapters.spool.append("r", workspace, []).result()
        with pytest.raises(DiskFull):
            await services.checks["disk"]()


async def test_a_house_whose_work_has_stopped_is_not_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = asyncio.Event()

    async def run() -> None:
        await failing.wait()
        raise ValueError("unforeseen")

    async with opened(Settings(data=tmp_path), node=True) as house:
        monkeypatch.setattr(house.services.intake, "run", run)
        await house.start(workers=False)
        check = house.services.checks["work"]
        await check()
        failing.set()
        with pytest.raises(WorkStopped, match="intake"):
            for _ in range(100):
                await asyncio.sleep(0)
                await check()
