"""Keys that wrap keys: what they wrapped they open, for what it was wrapped for, and nothing else."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from callvault.adapters.keys.master import (
    KeyBytes,
    MasterKeys,
    create_master_key,
    open_master_keys,
    read_master_keys,
)
from callvault.adapters.keys.memory import MemoryKeyring
from callvault.domain.errors import KeyUnavailable, Misconfigured
from callvault.domain.workspace import WorkspaceKey
from callvault.ports.keyring import MasterKey

VECTORS = json.loads((Path(__file__).parents[1] / "media" / "sealed" / "vectors.json").read_text())
OLD, NEW = KeyBytes(b"o" * 32), KeyBytes(b"n" * 32)
DATA_KEY = bytes(range(32))


@pytest.fixture(params=["bytes", "several", "text", "file"])
def master(request: pytest.FixtureRequest, tmp_path: Path) -> MasterKey:
    return {
        "bytes": lambda: NEW,
        "several": lambda: MasterKeys([NEW, OLD]),
        "text": lambda: open_master_keys("6e" * 32, "it"),
        "file": lambda: create_master_key(tmp_path / "master.key"),
    }[request.param]()


def key_of(workspace: str, master: MasterKey, n: int = 1, retired_ms: int | None = None) -> WorkspaceKey:
    return WorkspaceKey(
        id=f"{workspace}-{n}",
        workspace_id=workspace,
        created_ms=n,
        wrapped=master.wrap(bytes([n]) * 32, workspace),
        master_key_id=master.id,
        retired_ms=retired_ms,
    )


def ring(*keys: WorkspaceKey, master: MasterKey = NEW) -> MemoryKeyring:
    keyring = MemoryKeyring(master)
    keyring.learn("w", keys, None)
    return keyring


def test_a_master_key_opens_what_it_wrapped(master: MasterKey) -> None:
    wrapped = master.wrap(DATA_KEY, "w")
    assert master.unwrap(wrapped, "w") == DATA_KEY
    assert wrapped != master.wrap(DATA_KEY, "w")
    assert DATA_KEY.hex() not in wrapped


def test_another_workspace_s_key_does_not_open(master: MasterKey) -> None:
    with pytest.raises(KeyUnavailable, match="changed"):
        master.unwrap(master.wrap(DATA_KEY, "w"), "x")


@pytest.mark.parametrize("change", [lambda w: w[:-2] + "A=", lambda w: w[:40], lambda w: w + "AAAA", lambda w: w + "é"])
def test_a_changed_key_does_not_open(master: MasterKey, change: object) -> None:
    with pytest.raises(KeyUnavailable):
        master.unwrap(change(master.wrap(DATA_KEY, "w")), "w")  # type: ignore[operator]


def test_a_wrong_master_key_is_told_from_the_right_one(master: MasterKey) -> None:
    wrong = KeyBytes(b"w" * 32)
    with pytest.raises(KeyUnavailable, match=f"master key {master.id} wrapped it, this is {wrong.id}"):
        wrong.unwrap(master.wrap(DATA_KEY, "w"), "w")


def test_a_master_key_s_id_is_short_stable_and_no_part_of_it() -> None:
    key = os.urandom(32)
    assert KeyBytes(key).id == KeyBytes(key).id != KeyBytes(os.urandom(32)).id
    assert len(KeyBytes(key).id) == 16
    assert KeyBytes(key).id not in key.hex()


def test_of_several_the_first_wraps_and_all_open() -> None:
    both = MasterKeys([NEW, OLD])
    assert both.id == NEW.id
    assert both.unwrap(OLD.wrap(DATA_KEY, "w"), "w") == DATA_KEY
    assert NEW.unwrap(both.wrap(DATA_KEY, "w"), "w") == DATA_KEY


def test_text_holds_the_newest_first() -> None:
    keys = open_master_keys(f"\n{'6e' * 32}\n{'6f' * 32}\n", "it")
    assert keys.id == NEW.id
    assert keys.unwrap(OLD.wrap(DATA_KEY, "w"), "w") == DATA_KEY


@pytest.mark.parametrize("text", ["", " ", "6e" * 31, "6e" * 33, "zz" * 32, "correct horse battery staple"])
def test_a_weak_or_mistyped_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(Misconfigured, match="64 hexadecimal digits") as refused:
        open_master_keys(text, "CALLVAULT_MASTER_KEY")
    assert not text.strip() or text not in str(refused.value)


def test_a_new_file_is_its_owner_s_alone_and_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    first = create_master_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert create_master_key(path).id == read_master_keys(path).id == first.id
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    ids: list[str] = []
    starts = [
        threading.Thread(target=lambda: ids.append(create_master_key(tmp_path / "master.key").id)) for _ in range(8)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    create_master_key(path)
    path.chmod(mode)
    with pytest.raises(Misconfigured, match=f"chmod 600 {path}"):
        read_master_keys(path)


def test_a_file_that_is_not_there_or_not_a_key_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match=f"no file {tmp_path}/none"):
        read_master_keys(tmp_path / "none")
    (tmp_path / "binary").touch(0o600)
    (tmp_path / "binary").write_bytes(b"\xff" * 64)
    with pytest.raises(KeyUnavailable, match="cannot be read"):
        read_master_keys(tmp_path / "binary")
    with pytest.raises(KeyUnavailable, match="cannot be read"):
        read_master_keys(tmp_path)


def test_a_keyring_opens_what_it_wrapped() -> None:
    keyring = ring(key_of("w", NEW))
    sealing, customer = keyring.wrap("w", DATA_KEY, "w/x")
    assert customer is None
    assert keyring.unwrap("w", sealing, "w/x") == DATA_KEY
    assert sealing.startswith("w-1.")


def test_the_newest_key_that_is_not_retired_seals_and_all_open() -> None:
    keyring = ring(key_of("w", NEW, 1))
    old, _ = keyring.wrap("w", DATA_KEY, "w/x")
    keyring.learn("w", [key_of("w", NEW, n, retired_ms=9 if n == 3 else None) for n in (2, 3, 1)], None)
    assert keyring.newest("w") == "w-2"
    assert keyring.wrap("w", DATA_KEY, "w/x")[0].startswith("w-2.")
    assert keyring.unwrap("w", old, "w/x") == DATA_KEY
    assert keyring.knows("w", old)


def test_a_data_key_is_bound_to_its_object_s_name_and_its_workspace() -> None:
    keyring = ring(key_of("w", NEW))
    keyring.learn("other", [key_of("other", NEW)], None)
    sealing, _ = keyring.wrap("w", DATA_KEY, "w/x")
    for workspace, name in (("w", "w/y"), ("w", ""), ("other", "w/x"), ("unknown", "w/x")):
        with pytest.raises(KeyUnavailable):
            keyring.unwrap(workspace, sealing, name)


def test_what_a_keyring_knows() -> None:
    keyring = ring(key_of("w", NEW, 1))
    assert keyring.knows("w")
    assert keyring.knows("w", "w-1.xyz")
    assert not keyring.knows("w", "w-2.xyz")
    assert not keyring.knows("other")
    assert keyring.newest("other") is None


@pytest.mark.parametrize("keys", [[], [key_of("w", NEW, 1, retired_ms=5)]])
def test_without_an_active_key_nothing_is_sealed(keys: list[WorkspaceKey]) -> None:
    keyring = ring(*keys)
    assert not keyring.knows("w")
    with pytest.raises(KeyUnavailable):
        keyring.wrap("w", DATA_KEY, "w/x")


def test_destroyed_keys_are_forgotten() -> None:
    keyring = ring(key_of("w", NEW))
    sealing, _ = keyring.wrap("w", DATA_KEY, "w/x")
    keyring.learn("w", [], None)
    with pytest.raises(KeyUnavailable, match="destroyed"):
        keyring.unwrap("w", sealing, "w/x")


def test_keys_of_another_master_key_are_not_learnt_and_those_known_stay() -> None:
    keyring = ring(key_of("w", NEW))
    with pytest.raises(KeyUnavailable):
        keyring.learn("w", [key_of("w", OLD)], None)
    assert keyring.knows("w")


def test_a_customer_key_of_no_use_is_the_operator_s_to_mend() -> None:
    with pytest.raises(Misconfigured, match="customer key"):
        MemoryKeyring(NEW).learn("w", [key_of("w", NEW)], "-----BEGIN PUBLIC KEY-----")


def test_the_published_vectors_hold() -> None:
    given = VECTORS["workspace_key_wrapping"]
    master = KeyBytes(bytes.fromhex(given["master_key"]))
    assert master.id == given["id"]
    assert master.unwrap(given["wrapped"], given["workspace"]).hex() == given["workspace_key"]
    data = VECTORS["data_key_wrapping"]
    wrapped = master.wrap(bytes.fromhex(data["workspace_key"]), "w")
    key = WorkspaceKey(
        id=data["workspace_key_id"], workspace_id="w", created_ms=1, wrapped=wrapped, master_key_id=master.id
    )
    assert ring(key, master=master).unwrap("w", data["sealing"], data["name"]).hex() == data["data_key"]
