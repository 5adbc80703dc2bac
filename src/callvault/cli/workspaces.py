"""`callvault workspaces`: the tenants and their settings."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import click

from callvault.bootstrap import House
from callvault.cli.running import as_json, data, in_house, show, table, workspace_named
from callvault.domain.access import OPERATOR
from callvault.domain.workspace import Workspace
from callvault.services.workspaces import WorkspaceSettings


def _settings(command: Any) -> Any:
    """The options of what can be set, on commands that make or change a workspace."""
    options = (
        click.option(
            "--recording/--no-recording", "recording_enabled", default=None, help="Whether sound is taken in."
        ),
        click.option(
            "--public-recordings/--no-public-recordings",
            default=None,
            help="Whether a call's public id opens its recording without a key.",
        ),
        click.option("--hipaa/--no-hipaa", default=None, help="Whether nothing may ever be opened without a key."),
        click.option(
            "--delivery", type=click.Choice(["vault", "bucket"]), help="Through our links or the bucket's own."
        ),
        click.option("--link-seconds-max", type=int, help="The longest life of a link."),
        click.option("--idle-complete-seconds", type=int, help="After so long without a word a recording is complete."),
        click.option("--retention-days", type=int, help="How long recordings are kept; 0 for ever."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def workspaces() -> None:
    """Make, list and set workspaces.

    Example: callvault workspaces set acme --retention-days 365
    """


@workspaces.command()
@click.argument("name")
@_settings
@data
@as_json
def create(name: str, data: Path | None, as_json: bool, **given: Any) -> None:
    """Make a workspace.

    Example: callvault workspaces create acme --hipaa
    """
    wanted = _wanted(given)
    made = in_house(data, lambda house: house.services.workspaces.create(OPERATOR, name, wanted), fresh=True)
    _show(made, as_json)


@workspaces.command(name="list")
@data
@as_json
def list_workspaces(data: Path | None, as_json: bool) -> None:
    """List all workspaces by name.

    Example: callvault workspaces list --json
    """

    async def work(house: House) -> list[Workspace]:
        found: list[Workspace] = []
        while page := await house.services.workspaces.page(OPERATOR, _behind(found)):
            found += page
        return found

    found = in_house(data, work)
    rows = ((w.name, w.id, "on" if w.recording_enabled else "off", w.delivery, w.retention_days or "") for w in found)
    head = ("name", "id", "recording", "delivery", "retention days")
    show({"workspaces": [_told(workspace) for workspace in found]}, as_json, table(head, rows))


@workspaces.command(name="set")
@click.argument("workspace")
@click.option("--name", help="A new name.")
@click.option(
    "--customer-key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A PEM file with an RSA public key, to which every data key is wrapped from now on.",
)
@click.option("--no-customer-key", is_flag=True, help="Wrap to no customer's key any more.")
@_settings
@data
@as_json
def set_workspace(  # noqa: PLR0917 - click hands each option over
    workspace: str,
    name: str | None,
    customer_key: Path | None,
    no_customer_key: bool,
    data: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Change what is set of a workspace, by its name or id.

    Example: callvault workspaces set acme --no-recording
    """
    wanted = _wanted({**given, "name": name})
    pem = _read(customer_key) if customer_key else None

    async def work(house: House) -> Workspace:
        services, found = house.services, await workspace_named(house, workspace)
        if wanted:
            found = await services.workspaces.set(OPERATOR, found.id, wanted)
        if pem or no_customer_key:
            await services.sealing.set_customer_key(OPERATOR, found.id, pem)
            found = await services.workspaces.get(OPERATOR, found.id)
        return found

    _show(in_house(data, work), as_json)


def _wanted(given: dict[str, Any]) -> WorkspaceSettings:
    wanted = {name: value for name, value in given.items() if value is not None}
    if wanted.get("retention_days") == 0:
        wanted["retention_days"] = None
    return cast(WorkspaceSettings, wanted)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(
            f"{path} cannot be read ({type(error).__name__})", param_hint="--customer-key"
        ) from None


def _behind(found: list[Workspace]) -> tuple[str, str] | None:
    return (found[-1].name, found[-1].id) if found else None


def _told(workspace: Workspace) -> dict[str, Any]:
    return {name: value for name, value in asdict(workspace).items() if name not in ("deleted_ms", "version")}


def _show(workspace: Workspace, as_json: bool) -> None:
    told = _told(workspace)
    show(told, as_json, (f"{name:22} {'' if value is None else value}" for name, value in told.items()))
