"""`callvault verify`: whether what is kept is what was kept."""

import re
from pathlib import Path
from typing import Any

import click

from callvault.bootstrap import House
from callvault.cli.running import as_json, data, in_house, show, workspace_named
from callvault.domain.workspace import Workspace
from callvault.services.audit import ChainReport
from callvault.services.verification import StorageReport

SHOWN = 20


@click.group(invoke_without_command=True)
@data
@as_json
@click.pass_context
def verify(ctx: click.Context, data: Path | None, as_json: bool) -> None:
    """Prove the audit chain, every object against its digest, and database against storage in both directions.

    Reads everything once; it may run beside a server. Exits with 1 when something is not as it was.

    Example: callvault verify --json
    """
    if ctx.invoked_subcommand:
        return

    async def work(house: House) -> tuple[list[tuple[Workspace, ChainReport]], StorageReport]:
        verification = house.services.verification
        return [chain async for chain in verification.chains()], await verification.storage()

    chains, storage = in_house(data, work)
    told = {"audit": [_chain(*chain) for chain in chains], "storage": _storage(storage)}
    show(told, as_json, [*_chain_lines(chains), *_storage_lines(storage)])
    ctx.exit(0 if storage.whole and all(report.broken_seq is None for _, report in chains) else 1)


@verify.command()
@click.option("--workspace", help="One alone, by its name or id.")
@click.option(
    "--known", help="SEQ:DIGEST of that workspace, kept from an earlier run: shows whether the end is cut off."
)
@data
@as_json
@click.pass_context
def audit(ctx: click.Context, workspace: str | None, known: str | None, data: Path | None, as_json: bool) -> None:
    """Prove the audit chains alone, and name the first entry that cannot be proved.

    Example: callvault verify audit --workspace acme
    """
    kept = _known(known, workspace)

    async def work(house: House) -> list[tuple[Workspace, ChainReport]]:
        if workspace is None:
            return [chain async for chain in house.services.verification.chains()]
        found = await workspace_named(house, workspace)
        return [(found, await house.services.audit_trail.verify(found.id, kept))]

    chains = in_house(data, work)
    show({"audit": [_chain(*chain) for chain in chains]}, as_json, _chain_lines(chains))
    ctx.exit(0 if all(report.broken_seq is None for _, report in chains) else 1)


@verify.command()
@data
@as_json
@click.pass_context
def storage(ctx: click.Context, data: Path | None, as_json: bool) -> None:
    """Prove every object against its digest, and database against storage.

    Example: callvault verify storage
    """
    report = in_house(data, lambda house: house.services.verification.storage())
    show({"storage": _storage(report)}, as_json, _storage_lines(report))
    ctx.exit(0 if report.whole else 1)


def _known(text: str | None, workspace: str | None) -> tuple[int, str] | None:
    match = re.fullmatch("([0-9]{1,18}):([0-9a-f]{64})", text or "")
    if text and not (match and workspace):
        raise click.BadParameter("it is SEQ:DIGEST, of the workspace that --workspace names", param_hint="--known")
    return (int(match[1]), match[2]) if match else None


def _chain(workspace: Workspace, report: ChainReport) -> dict[str, Any]:
    broken = None if report.broken_seq is None else {"seq": report.broken_seq, "why": report.why}
    return {
        "workspace": {"id": workspace.id, "name": workspace.name},
        "entries": report.entries,
        "head": f"{report.entries}:{report.head}",
        "broken": broken,
    }


def _chain_lines(chains: list[tuple[Workspace, ChainReport]]) -> list[str]:
    return [
        f"audit of {workspace.name}: {report.entries} entries are whole, the last is {report.entries}:{report.head}"
        if report.broken_seq is None
        else f"audit of {workspace.name}: BROKEN at entry {report.broken_seq}: {report.why}"
        for workspace, report in chains
    ]


def _storage(report: StorageReport) -> dict[str, Any]:
    return {
        "objects": report.objects,
        "bytes": report.size,
        "references": report.references,
        "missing": report.missing,
        "corrupt": report.corrupt,
        "unreadable": report.unreadable,
        "dangling": report.dangling,
        "unclaimed": report.unclaimed,
    }


def _storage_lines(report: StorageReport) -> list[str]:
    lines = [f"storage: {report.objects} objects with {report.size} bytes were read"]
    findings = (
        ("MISSING from storage although the database names it: restore it from a copy of the storage", report.missing),
        ("CORRUPT, its bytes are not those that were put: restore it from a copy of the storage", report.corrupt),
        (
            "UNREADABLE, its encryption key is not to be had: bring back the master key or the database",
            report.unreadable,
        ),
        ("DANGLING, it refers to an object that the database does not know: restore the database", report.dangling),
        (
            "unclaimed, no row names it: on its way, or left over from a crash, or the database is too old",
            report.unclaimed,
        ),
    )
    for what, names in findings:
        lines += [f"{what}: {name}" for name in names[:SHOWN]]
        lines += [f"… and {len(names) - SHOWN} more: see --json"] if len(names) > SHOWN else []
    return lines
