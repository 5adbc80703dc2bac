"""`callvault rotate-key` and `callvault rotate-master-key`: keys exchanged without writing an object again."""

import os
import secrets
from pathlib import Path

import click

from callvault.bootstrap import House, master_key_of
from callvault.cli.running import as_json, data, in_house, show, workspace_named
from callvault.domain.access import OPERATOR
from callvault.domain.errors import Misconfigured
from callvault.services.rewrapping import Rewrapped
from callvault.settings import load


@click.command(name="rotate-key")
@click.option("--workspace", required=True, help="Its name or id.")
@data
@as_json
@click.pass_context
def rotate_key(ctx: click.Context, workspace: str, data: Path | None, as_json: bool) -> None:
    """Seal a workspace by a new key, wrap all its data keys anew, and retire the key before.

    Objects stay as they are. Cut off, it goes on when called again. It may run beside a server.

    Example: callvault rotate-key --workspace acme
    """

    async def work(house: House) -> Rewrapped:
        found = await workspace_named(house, workspace)
        return await house.services.sealing.rotate(OPERATOR, found.id)

    done = in_house(data, work)
    lines = [f"{done.objects} data keys are wrapped by the new key"]
    lines += [f"UNREADABLE, its data key does not open: {key}" for key in done.broken]
    show({"objects": done.objects, "broken": done.broken}, as_json, lines)
    ctx.exit(1 if done.broken else 0)


@click.command(name="rotate-master-key")
@click.option(
    "--new-key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file with the new master key, where the key is not in the data folder.",
)
@data
@as_json
def rotate_master_key(new_key_file: Path | None, data: Path | None, as_json: bool) -> None:
    """Wrap every workspace's key by a new master key; objects and data keys stay as they are.

    With the key in the data folder: a new one is written before the old one in `master.key`, so that both open, and
    servers that run take notice.
    With the key in a setting: first give every process the new key with the old one behind it
    (CALLVAULT_MASTER_KEY="<new> <old>"), then run this with --new-key-file; then the old one can be taken away.

    Example: callvault rotate-master-key
    """
    settings = load(data=data)
    if settings.master_key and new_key_file is None:
        raise click.UsageError("the master key is in a setting: name the new one with --new-key-file")
    path = new_key_file or settings.master_key_path
    if new_key_file is None:
        _put_new_key_first(path)
    new = master_key_of(_first_word(path), f"the new master key in {path}")
    count = in_house(data, lambda house: house.services.sealing.rotate_master(OPERATOR, new))
    lines = [f"{count} workspace keys are wrapped by master key {new.id}"]
    lines.append("the key before may be taken away once no server needs it and no link that it signed is in use")
    show({"keys": count, "masterKey": new.id}, as_json, lines)


def _put_new_key_first(path: Path) -> None:
    """The file is whole at every moment, old or new."""
    try:
        words = path.read_text().split()
        written = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        written.touch(0o600)
        written.write_text("\n".join([secrets.token_hex(32), *words]) + "\n")
        _sync(written)
        written.replace(path)
    except OSError as error:
        raise Misconfigured(problems=f"{path} cannot be read and written: {error.strerror}") from None


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _first_word(path: Path) -> str:
    try:
        return path.read_text().split()[0]
    except (OSError, UnicodeDecodeError, IndexError):
        raise Misconfigured(problems=f"there is no master key in {path}") from None
