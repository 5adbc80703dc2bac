"""The commands on a vault of their own: what they do, what they print, how they end."""

import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from callvault.cli.program import COMMANDS, program
from callvault.domain.workspace import SCOPES
from tests.commands import PATIENCE_SECONDS, Result, command, keys_in

EXPLAINED = Path(__file__).parents[2] / "docs" / "explanation" / "access-and-audit.md"


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """A folder with a workspace `acme`."""
    folder = tmp_path / "vault"
    assert command("workspaces", "create", "acme", "--data", folder).status == 0
    return folder


def change(vault: Path, sql: str) -> None:
    with sqlite3.connect(vault / "callvault.db") as database:
        database.execute(sql)
    database.close()


def test_a_first_key_makes_the_vault_and_the_workspace(tmp_path: Path) -> None:
    made = command("keys", "create", "--workspace", "new", "--json", "--data", tmp_path / "vault")
    assert made.status == 0
    told = made.json
    assert set(told) == {"id", "key", "workspace", "member", "scopes", "kind"}
    assert set(told["workspace"]) == {"id", "name"}
    assert (told["workspace"]["name"], told["kind"], told["scopes"]) == ("new", "private", list(SCOPES))
    assert keys_in(told["key"]) == [told["key"]]
    again = command("keys", "create", "--workspace", "new", "--json", "--data", tmp_path / "vault").json
    assert again["workspace"] == told["workspace"]
    assert again["key"] != told["key"]


def test_what_a_vault_keeps_is_its_owners_alone(vault: Path) -> None:
    assert stat.S_IMODE(vault.stat().st_mode) == 0o700
    assert stat.S_IMODE((vault / "master.key").stat().st_mode) == 0o600


def test_a_key_is_made_as_it_is_asked_for(vault: Path) -> None:
    made = command(
        *("keys", "create", "--workspace", "acme", "--scopes", "recordings:read, chats:read", "--member", "ann"),
        *("--expires", "90d", "--label", "laptop", "--json", "--data", vault),
    ).json
    assert (made["scopes"], made["member"]) == (["recordings:read", "chats:read"], "ann")
    public = command("keys", "create", "--workspace", "acme", "--public", "--json", "--data", vault).json
    assert public["kind"] == "public"
    listed = command("keys", "list", "--workspace", "acme", "--json", "--data", vault).json["keys"]
    assert [key["kind"] for key in listed] == ["public", "private"]
    assert listed[1]["label"] == "laptop"
    assert listed[1]["expires"] > listed[1]["created"]
    assert not keys_in(json.dumps(listed))


def test_a_key_is_revoked_by_its_id(vault: Path) -> None:
    made = command("keys", "create", "--workspace", "acme", "--json", "--data", vault).json
    assert command("keys", "revoke", made["id"], "--data", vault).out == f"{made['id']} is revoked\n"
    listed = command("keys", "list", "--workspace", made["workspace"]["id"], "--json", "--data", vault).json["keys"]
    assert [key["state"] for key in listed] == ["revoked"]
    unknown = command("keys", "revoke", "nothing", "--json", "--data", vault)
    assert (unknown.status, json.loads(unknown.err)["error"]["code"]) == (2, "not_found")


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (("--scopes", "recordings:fly"), "there is no recordings:fly"),
        (("--expires", "soon"), "no time such as 90d"),
        (("--expires", "999999w"), "of a hundred years at most"),
        (("--workspace", ""), "1 to 100 printable characters"),
    ],
)
def test_a_wrong_wish_for_a_key_says_what_would_be_right(vault: Path, wrong: tuple[str, ...], hint: str) -> None:
    result = command("keys", "create", "--workspace", "acme", *wrong, "--data", vault)
    assert result.status == 2
    assert hint in result.err


def test_a_key_that_cannot_be_made_makes_no_workspace(vault: Path) -> None:
    assert command("keys", "create", "--workspace", "new", "--scopes", "x:y", "--data", vault).status == 2
    listed = command("workspaces", "list", "--json", "--data", vault).json["workspaces"]
    assert [workspace["name"] for workspace in listed] == ["acme"]


def test_a_key_for_a_workspace_by_its_id_is_that_workspaces(vault: Path) -> None:
    (acme,) = command("workspaces", "list", "--json", "--data", vault).json["workspaces"]
    made = command("keys", "create", "--workspace", acme["id"], "--json", "--data", vault).json
    assert made["workspace"] == {"id": acme["id"], "name": "acme"}


def test_workspaces_are_made_set_and_listed(vault: Path) -> None:
    made = command("workspaces", "create", "other", "--hipaa", "--retention-days", "30", "--json", "--data", vault).json
    assert (made["hipaa"], made["retention_days"]) == (True, 30)
    wanted = ("--no-recording", "--retention-days", "0", "--name", "new")
    changed = command("workspaces", "set", "other", *wanted, "--json", "--data", vault).json
    assert (changed["recording_enabled"], changed["retention_days"], changed["name"]) == (False, None, "new")
    listed = command("workspaces", "list", "--json", "--data", vault).json["workspaces"]
    assert [workspace["name"] for workspace in listed] == ["acme", "new"]
    assert command("workspaces", "create", "acme", "--data", vault).status == 2
    assert "no such workspace as 'nowhere'" in command("workspaces", "set", "nowhere", "--data", vault).err


def test_a_customers_key_is_read_from_its_file(vault: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = generate_private_key(65537, 2048).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    told = command("workspaces", "set", "acme", "--customer-key", tmp_path / "key.pem", "--json", "--data", vault).json
    assert told["customer_public_key"] == pem.decode()
    told = command("workspaces", "set", "acme", "--no-customer-key", "--json", "--data", vault).json
    assert told["customer_public_key"] is None
    (tmp_path / "key.pem").write_text("nonsense")
    assert command("workspaces", "set", "acme", "--customer-key", tmp_path / "key.pem", "--data", vault).status == 2


def test_a_whole_vault_is_proved(vault: Path) -> None:
    result = command("verify", "--json", "--data", vault)
    assert result.status == 0
    (chain,) = result.json["audit"]
    assert (chain["workspace"]["name"], chain["entries"], chain["broken"]) == ("acme", 1, None)
    assert result.json["storage"]["objects"] == 0


def test_a_broken_chain_is_found_and_named(vault: Path) -> None:
    command("keys", "create", "--workspace", "acme", "--data", vault)
    change(vault, "UPDATE audit_blocks SET told = json_set(told, '$[0][0]', 'key:other') WHERE seq = 2")
    result = command("verify", "audit", "--data", vault)
    assert result.status == 1
    assert "BROKEN at entry 2: what is told up to entry 2, behind the entry before, does not have" in result.out


def test_a_chain_that_lost_its_end_is_found_by_its_head(vault: Path) -> None:
    command("keys", "create", "--workspace", "acme", "--data", vault)
    head = command("verify", "audit", "--workspace", "acme", "--json", "--data", vault).json["audit"][0]["head"]
    change(vault, "DELETE FROM audit_blocks WHERE seq = 2")
    assert command("verify", "audit", "--workspace", "acme", "--data", vault).status == 0
    cut = command("verify", "audit", "--workspace", "acme", "--known", head, "--data", vault)
    assert cut.status == 1
    assert "the chain ends before" in cut.out
    assert command("verify", "audit", "--known", "nonsense", "--data", vault).status == 2


def test_storage_and_database_are_held_against_each_other(vault: Path) -> None:
    stray = vault / "objects" / "w" / "stray"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"x")
    change(
        vault,
        "INSERT INTO stored_objects (key, size, sha256, workspace_id, created_ms) VALUES "
        f"('w/gone', 1, '{'0' * 64}', 'w', 0)",
    )
    result = command("verify", "storage", "--json", "--data", vault)
    assert result.status == 1
    assert (result.json["storage"]["missing"], result.json["storage"]["unclaimed"]) == (["w/gone"], ["w/stray"])
    shown = command("verify", "storage", "--data", vault).out
    assert "MISSING from storage" in shown
    assert "unclaimed" in shown


def test_an_audit_is_exported_as_lines_and_the_export_is_in_it(vault: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit.jsonl"
    told = command("audit", "export", "--workspace", "acme", "--output", out, "--json", "--data", vault)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert told.json == {"entries": len(lines)}
    assert [line["action"] for line in lines] == ["workspace.create", "audit.export"]
    assert proved(out.read_bytes()) == (0, f"2:{lines[-1]['digest']}\n")
    assert proved(out.read_bytes().replace(b"workspace.create", b"workspace.delete"))[0] == 1
    assert command("audit", "export", "--workspace", "acme", "--json", "--data", vault).status == 2
    nowhere = command("audit", "export", "--workspace", "acme", "--output", tmp_path / "no" / "a", "--data", vault)
    assert nowhere.status == 2
    assert "cannot be written (No such file or directory)" in nowhere.err


def test_keys_are_rotated_and_all_opens_as_before(vault: Path) -> None:
    before = (vault / "master.key").read_text().split()
    assert command("rotate-key", "--workspace", "acme", "--json", "--data", vault).json == {"objects": 0, "broken": []}
    told = command("rotate-master-key", "--json", "--data", vault).json
    after = (vault / "master.key").read_text().split()
    assert after[1:] == before
    assert told["keys"] == 2
    (vault / "master.key").write_text(after[0])
    healthy = command("doctor", "--json", "--data", vault)
    assert healthy.status == 0, healthy.out
    (vault / "master.key").write_text(before[0])
    assert command("doctor", "--json", "--data", vault).status == 1


def test_a_master_key_in_a_setting_is_rotated_to_one_in_a_file(tmp_path: Path) -> None:
    old, new, vault = "a1" * 32, "b2" * 32, tmp_path / "vault"
    command("workspaces", "create", "acme", "--data", vault, MASTER_KEY=old)
    assert not (vault / "master.key").exists()
    (tmp_path / "new").write_text(new)
    assert command("rotate-master-key", "--data", vault, MASTER_KEY=old).status == 2
    both = f"{old} {new}"
    rotated = command("rotate-master-key", "--new-key-file", tmp_path / "new", "--data", vault, MASTER_KEY=both)
    assert rotated.status == 0, rotated.err
    assert command("keys", "list", "--workspace", "acme", "--data", vault, MASTER_KEY=new).status == 0
    assert command("keys", "list", "--workspace", "acme", "--data", vault, MASTER_KEY=old).status == 3


def test_a_healthy_vault_passes_every_examination(vault: Path) -> None:
    result = command("doctor", "--json", "--data", vault)
    assert result.status == 0
    assert {finding["part"]: finding["state"] for finding in result.json["findings"]} | {"disk space": "ok"} == {
        "data folder": "ok",
        "disk space": "ok",
        "secrets": "ok",
        "database": "ok",
        "master key": "ok",
        "storage": "ok",
        "clock": "ok",
        "public endpoint": "ok",
    }


def findings(result: Result) -> dict[str, tuple[str, str]]:
    return {found["part"]: (found["what"], found["mend"]) for found in result.json["findings"] if found["mend"]}


def test_the_doctor_goes_on_past_what_is_broken_and_says_who_mends_it(vault: Path) -> None:
    (vault / "master.key").chmod(0o644)
    unreachable = {"STORAGE": "s3://b?endpoint=http://127.0.0.1:1", "PUBLIC_URL": "http://127.0.0.1:1"}
    found = findings(command("doctor", "--json", "--data", vault, **unreachable))
    assert found["secrets"][1] == f"the operator: chmod 600 {vault / 'master.key'}"
    assert "chmod 600" in found["master key"][0]
    assert "cannot be reached" in found["public endpoint"][0]
    (vault / "master.key").chmod(0o600)
    away = {**unreachable, "STORAGE_ACCESS_KEY_ID": "a", "STORAGE_SECRET_ACCESS_KEY": "b"}
    assert "time, else the operator" in findings(command("doctor", "--json", "--data", vault, **away))["storage"][1]


def proved(export: bytes) -> tuple[int, str]:
    """By the program that stands in the explanation."""
    [program] = re.findall("```python\n(.*?)```", EXPLAINED.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], input=export, capture_output=True, check=False)
    return done.returncode, done.stdout.decode()


def test_the_doctor_tells_every_wrong_setting(vault: Path) -> None:
    result = command("doctor", "--json", "--data", vault, PORT="x", XYZZY="1")
    assert [finding["part"] for finding in result.json["findings"]] == ["settings", "settings"]
    assert result.status == 1


def test_a_clock_that_jumped_back_is_noticed(vault: Path) -> None:
    change(vault, "UPDATE audit_blocks SET told = json_set(told, '$[0][1]', json_extract(told, '$[0][1]') + 3600000)")
    what, mend = findings(command("doctor", "--json", "--data", vault))["clock"]
    assert "s from now: a clock was or is wrong" in what
    assert "run NTP" in mend


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = command("keys", "create", "--workspace", "acme", "--data", tmp_path / "file" / "vault")
    assert result.status == 3
    assert f"the folder {tmp_path}/file/vault cannot be written" in result.err
    assert "name another with --data" in result.err


def as_owner(*args: str | Path) -> Result:
    """As a program of its own, for which permissions count even where the tests are root's."""
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    run = [*powerless, sys.executable, "-m", "callvault", *map(str, args)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("closed", ["", "vault"])
def test_a_folder_of_somebody_elses_is_named(vault: Path, tmp_path: Path, closed: str) -> None:
    """That of the vault, and one around it."""
    (tmp_path / closed).chmod(0o000)
    looked = as_owner("doctor", "--json", "--data", vault)
    asked = {as_owner(*ask, "--workspace", "acme", "--data", vault) for ask in (("keys", "list"), ("keys", "create"))}
    (tmp_path / closed).chmod(0o700)
    assert looked.status == 1
    assert {"data folder", "secrets", "database"} <= set(findings(looked))
    assert {result.status for result in asked} == {3}
    assert all("mend its permissions or name another with --data" in result.err for result in asked)


def test_any_name_will_do_for_a_folder(tmp_path: Path) -> None:
    odd = tmp_path / "what? 100%20 #1"
    assert command("keys", "create", "--workspace", "acme", "--data", odd).status == 0
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]
    assert command("doctor", "--data", odd).status == 0


def test_each_part_that_may_not_be_used_is_told_by_its_own_name(vault: Path) -> None:
    for part, path in {"storage": vault / "objects", "master key": vault / "master.key"}.items():
        mode = path.stat().st_mode
        path.chmod(0o000)
        result = as_owner("doctor", "--json", "--data", vault)
        path.chmod(mode)
        assert list(findings(result)) == [part]
        assert str(path) in findings(result)[part][0]


def test_a_folder_without_a_vault_is_not_made_into_one_by_looking(tmp_path: Path) -> None:
    for look in (("keys", "list", "--workspace", "a"), ("verify",), ("workspaces", "list"), ("doctor",)):
        result = command(*look, "--data", tmp_path / "vault")
        assert result.status != 0
        assert "name" in result.out + result.err
        assert not (tmp_path / "vault").exists()


@pytest.mark.parametrize("url", ["mysql://db/vault", "nonsense", "sqlite:vault.db"])
def test_a_wrong_database_url_is_refused_without_repeating_its_password(tmp_path: Path, url: str) -> None:
    result = command("migrate", "--data", tmp_path / "vault", DATABASE=url)
    assert result.status == 3
    assert "CALLVAULT_DATABASE must be a URL such as sqlite:////folder/vault.db or postgresql://" in result.err
    assert url not in result.err


def test_a_database_that_does_not_answer_is_times_to_mend(tmp_path: Path) -> None:
    url = "postgresql://vault:hunter2@127.0.0.1:1/vault"
    result = command("keys", "list", "--workspace", "a", "--data", tmp_path / "vault", DATABASE=url)
    assert result.status == 4
    assert "the database does not answer" in result.err
    assert "hunter2" not in result.err


def test_a_database_of_a_newer_program_is_left_alone(vault: Path) -> None:
    change(vault, "UPDATE alembic_version SET version_num = '9999'")
    for ask in (("keys", "list", "--workspace", "acme"), ("migrate",), ("workspaces", "create", "x")):
        result = command(*ask, "--data", vault)
        assert result.status == 3
        assert "revision 9999" in result.err
        assert "run the newer callvault" in result.err


def test_a_master_key_that_is_gone_or_wrong_is_told_and_none_is_made_in_its_place(vault: Path) -> None:
    right = (vault / "master.key").read_text()
    (vault / "master.key").unlink()
    gone = command("keys", "list", "--workspace", "acme", "--data", vault)
    assert gone.status == 3
    assert "bring that one back" in gone.err
    assert not (vault / "master.key").exists()
    (vault / "master.key").touch(0o600)
    (vault / "master.key").write_text("ab" * 32)
    wrong = command("keys", "list", "--workspace", "acme", "--data", vault)
    assert wrong.status == 3
    assert "bring that one back" in wrong.err
    (vault / "master.key").write_text(right)
    assert command("keys", "list", "--workspace", "acme", "--data", vault).status == 0


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    first = command("migrate", "--json", "--data", tmp_path / "vault")
    assert first.status == 0
    assert command("migrate", "--json", "--data", tmp_path / "vault").json == first.json


def test_an_unknown_command_names_the_nearest() -> None:
    result = command("verfy")
    assert result.status == 2
    assert "there is no command 'verfy': did you mean 'verify'?" in result.err
    assert "see 'callvault --help'" in command("xyzzy").err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_helps_with_an_example_and_speaks_json(name: str) -> None:
    command = program.get_command(None, name)  # type: ignore[arg-type]
    assert command
    told = [(name, command)]
    told += [(f"{name} {each}", sub) for each, sub in getattr(command, "commands", {}).items()]
    for path, each in told:
        shown = CliRunner().invoke(each, ["--help"]).output
        assert "Example: " in shown, path
        if not getattr(each, "commands", None):
            assert "--json" in shown, path


def test_the_version_is_told() -> None:
    assert command("--version").out.strip()[0].isdigit()
