"""`callvault keys`: API keys for people and programs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from callvault.bootstrap import House
from callvault.cli.running import Duration, as_json, data, find_workspace, in_house, show, table, workspace_named
from callvault.domain.access import OPERATOR
from callvault.domain.workspace import SCOPES, ApiKey
from callvault.services.keys import NewKey


class Scopes(click.ParamType[list[str]]):
    """Looked at before anything is made."""

    name = "scopes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        wanted = [scope.strip() for scope in str(value).split(",") if scope.strip()]
        if unknown := sorted(set(wanted) - set(SCOPES)):
            self.fail(f"there is no {', '.join(unknown)}; there are {', '.join(SCOPES)}", param, ctx)
        return wanted


@click.group()
def keys() -> None:
    """Make, list and revoke API keys.

    Example: callvault keys create --workspace acme --scopes recordings:read --expires 90d
    """


@keys.command()
@click.option("--workspace", required=True, help="Its name or id; it is made when it is not there.")
@click.option("--scopes", type=Scopes(), default="", help="Separated by commas. [default: all]")
@click.option("--member", default="", help="The member as whom the key acts. [default: one of its own]")
@click.option("--public", is_flag=True, help="A key that may lie open in a browser: it may announce calls, no more.")
@click.option("--expires", type=Duration(), help="After how long it ends, such as 90d. [default: never]")
@click.option("--label", default="", help="What it is for.")
@data
@as_json
def create(  # noqa: PLR0917 - click hands each option over
    workspace: str,
    scopes: list[str],
    member: str,
    public: bool,
    expires: int | None,
    label: str,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make a key and print it, this once.

    Example: callvault keys create --workspace acme --member ops@acme --json
    """

    async def work(house: House) -> tuple[str, NewKey]:
        services = house.services
        owner = await find_workspace(house, workspace)
        owner = owner or await services.workspaces.create(OPERATOR, workspace)
        expires_ms = services.clock.now_ms() + expires * 1000 if expires else None
        return owner.name, await services.keys.create(
            OPERATOR,
            owner.id,
            member_id=member,
            scopes=scopes,
            kind="public" if public else "private",
            label=label,
            expires_ms=expires_ms,
        )

    name, made = in_house(data, work, fresh=True)
    told = {
        "id": made.row.id,
        "key": made.key,
        "workspace": {"id": made.row.workspace_id, "name": name},
        "member": made.row.member_id,
        "scopes": list(made.row.scopes),
        "kind": made.row.kind,
    }
    show(told, as_json, [made.key, "Keep it: it is not shown again."])


@keys.command(name="list")
@click.option("--workspace", required=True, help="Its name or id.")
@data
@as_json
def list_keys(workspace: str, data: Path | None, as_json: bool) -> None:
    """List a workspace's keys, the newest first.

    Example: callvault keys list --workspace acme
    """

    async def work(house: House) -> list[ApiKey]:
        owner = await workspace_named(house, workspace)
        found: list[ApiKey] = []
        while page := await house.services.keys.page(OPERATOR, owner.id, _behind(found)):
            found += page
        return found

    rows = [_row(key) for key in in_house(data, work)]
    head = ("id", "key", "kind", "state", "member", "lastUsed", "label")
    show({"keys": rows}, as_json, table(head, ([row[name] for name in head] for row in rows)))


@keys.command()
@click.argument("key_id")
@data
@as_json
def revoke(key_id: str, data: Path | None, as_json: bool) -> None:
    """Let nobody in with the key any more; servers that run know within seconds.

    Example: callvault keys revoke 0199c82c-c001-7000-8000-000000000001
    """
    key = in_house(data, lambda house: house.services.keys.revoke(OPERATOR, key_id))
    show({"id": key.id, "revoked": _time(key.revoked_ms)}, as_json, [f"{key.id} is revoked"])


def _behind(found: list[ApiKey]) -> tuple[int, str] | None:
    return (found[-1].created_ms, found[-1].id) if found else None


def _row(key: ApiKey) -> dict[str, Any]:
    now_ms = datetime.now(UTC).timestamp() * 1000
    expired = key.expires_ms is not None and key.expires_ms <= now_ms
    return {
        "id": key.id,
        "key": f"cvk_{key.prefix}_…",
        "kind": key.kind,
        "state": "revoked" if key.revoked_ms else "expired" if expired else "active",
        "member": key.member_id,
        "scopes": list(key.scopes),
        "label": key.label,
        "created": _time(key.created_ms),
        "expires": _time(key.expires_ms),
        "lastUsed": _time(key.last_used_ms),
    }


def _time(ms: int | None) -> str | None:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if ms else None
