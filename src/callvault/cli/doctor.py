"""`callvault doctor`: all that callvault stands on, looked at one by one; and who must mend what."""

import asyncio
import json
import secrets
import shutil
import stat
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from callvault.bootstrap import SPARE_BYTES, open_master_key, open_storage, open_store, prepare
from callvault.cli.running import as_json, data, show
from callvault.domain.errors import Fault, Misconfigured, OperatorFault, PassingFault
from callvault.domain.query import Query
from callvault.domain.workspace import Workspace, WorkspaceKey
from callvault.ports.blobs import Blobs, Presigning
from callvault.ports.store import Store
from callvault.services.audit import blocks_of
from callvault.settings import Settings, load

OK, WARNING, FAILED = "ok", "warning", "failed"
GIB: Final = 2**30
CLOCK_SLACK_MS: Final = 5_000
BUILT_YEAR: Final = 2026
PUBLIC_SECONDS: Final = 10
SAMPLE: Final = b"callvault"


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    state: str
    what: str
    mend: str = ""
    """Who must do what."""


class Doctor:
    """Goes on where a command would stop: what depends on a broken part is not looked at, everything else is."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.findings: list[Finding] = []
        self._store: Store | None = None
        self._blobs: Blobs | None = None
        self._presigner: Presigning | None = None

    async def examine(self) -> list[Finding]:
        await self._try("data folder", self._folder)
        await self._try("disk space", self._space)
        await self._try("secrets", self._secrets)
        await self._try("database", self._database)
        await self._try("master key", self._master_key)
        await self._try("storage", self._storage)
        await self._try("bucket links", self._bucket_links)
        await self._try("clock", self._clock)
        await self._try("public endpoint", self._public)
        if self._store:
            await self._store.close()
        return self.findings

    async def _try(self, part: str, look: Callable[[], Awaitable[Finding | None]]) -> None:
        try:
            finding = await look()
        except Fault as fault:
            finding = Finding(part, FAILED, str(fault), _who(fault))
        except OSError as error:
            what = f"{error.filename} cannot be looked at ({error.strerror})"
            finding = Finding(part, FAILED, what, "the operator: mend its permissions, and those of its folders")
        if finding:
            self.findings.append(finding)

    async def _folder(self) -> Finding:
        folder = self._settings.data.absolute()
        if not folder.exists():
            raise Misconfigured(problems=f"there is no folder {folder}: name the vault's with --data")
        await asyncio.to_thread(prepare, self._settings)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            mend = f"the operator: chmod 700 {folder}"
            return Finding("data folder", WARNING, f"others on this machine may look into {folder}", mend)
        return Finding("data folder", OK, f"{folder} can be written")

    async def _space(self) -> Finding | None:
        if not self._settings.data.exists():
            return None
        total, _, free = shutil.disk_usage(self._settings.data)
        if not total:  # a file system without a size of its own
            return None
        what = f"{free / GIB:.1f} GiB are free"
        state = FAILED if free < SPARE_BYTES else WARNING if free < 2 * GIB else OK
        return Finding("disk space", state, what, "" if state == OK else "the operator: free space, or move --data")

    async def _secrets(self) -> Finding:
        files = [path for path in (self._settings.master_key_path, *self._settings.secret_files) if path.exists()]
        open_ones = [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
        if open_ones:
            names = " ".join(str(path) for path in open_ones)
            return Finding("secrets", FAILED, f"others may read {names}", f"the operator: chmod 600 {names}")
        return Finding("secrets", OK, f"{len(files)} files are readable by their owner alone")

    async def _database(self) -> Finding:
        self._store = await open_store(self._settings, fresh=False)
        kind = self._settings.database_url.partition(":")[0]
        return Finding("database", OK, f"{kind} answers and its schema is this program's")

    async def _master_key(self) -> Finding | None:
        if self._store is None:
            return None
        master, _ = await open_master_key(self._settings, self._store)
        keys = await self._store.find(Query(WorkspaceKey).by("id").page(1000))
        for key in keys:
            master.unwrap(key.wrapped, key.workspace_id)
        return Finding("master key", OK, f"it opens the keys of {len({key.workspace_id for key in keys})} workspaces")

    async def _storage(self) -> Finding | None:
        if self._store is None and not self._settings.storage:
            return None
        blobs, self._presigner = await open_storage(self._settings)
        await asyncio.to_thread(blobs.check)
        self._blobs = blobs
        place = self._settings.storage_url.partition("?")[0]
        return Finding("storage", OK, f"{place} took, gave back in part, and deleted an object")

    async def _bucket_links(self) -> Finding | None:
        """Where the storage can sign URLs of its own: whether one of them leads anybody anywhere."""
        if self._blobs is None or self._presigner is None:
            return None
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        why = await asyncio.to_thread(_refused_link, self._presigner, self._blobs, now_ms)
        if why:
            mend = "the operator: see that the storage's public_endpoint leads to it; vault links do without"
            return Finding("bucket links", WARNING, why, mend)
        return Finding("bucket links", OK, "a signed URL of the storage's own gave back what was put")

    async def _clock(self) -> Finding | None:
        now = datetime.now(UTC)
        if now.year < BUILT_YEAR:
            return Finding("clock", FAILED, f"it says {now:%Y-%m-%d}", "the operator: set the clock, and run NTP")
        newest = await _newest_ms(self._store) if self._store else 0
        ahead_ms = newest - int(now.timestamp() * 1000)
        if ahead_ms > CLOCK_SLACK_MS:
            what = f"the audit has an entry of {ahead_ms / 1000:.0f} s from now: a clock was or is wrong"
            return Finding("clock", FAILED, what, "the operator: run NTP on every machine; links and keys expire by it")
        return Finding("clock", OK, f"it says {now:%Y-%m-%dT%H:%M:%SZ}, and nothing known is of later")

    async def _public(self) -> Finding:
        url = self._settings.public_url
        if not url:
            return Finding("public endpoint", OK, "none is set: links go to the host name that the client used")
        why = await asyncio.to_thread(_unreachable, url)
        if why:
            mend = "the operator: start the server, or mend CALLVAULT_PUBLIC_URL, DNS or the proxy"
            return Finding("public endpoint", FAILED, f"{url} {why}", mend)
        return Finding("public endpoint", OK, f"{url} leads to a vault")


@click.command()
@data
@as_json
@click.pass_context
def doctor(ctx: click.Context, data: Path | None, as_json: bool) -> None:
    """Check all that callvault stands on, and say who must mend what.

    Settings, data folder, disk space, permissions of secrets, database, master key, storage (with a real put, get,
    range and delete), clock and public endpoint. Exits with 1 when something fails.

    Example: callvault doctor --json
    """
    findings = [*_settings_findings(data)]
    if not findings:
        findings = asyncio.run(Doctor(load(data=data)).examine())
    told = [{"part": f.part, "state": f.state, "what": f.what, "mend": f.mend} for f in findings]
    healthy = all(finding.state != FAILED for finding in findings)
    show({"healthy": healthy, "findings": told}, as_json, [line for finding in findings for line in _lines(finding)])
    ctx.exit(0 if healthy else 1)


def _settings_findings(data: Path | None) -> list[Finding]:
    try:
        load(data=data)
    except Misconfigured as mistakes:
        return [Finding("settings", FAILED, line, "the operator: set it right") for line in str(mistakes).split("\n")]
    return []


def _lines(finding: Finding) -> list[str]:
    lines = [f"{finding.state:8} {finding.part}: {finding.what}"]
    return [*lines, f"         {finding.mend}"] if finding.mend else lines


def _who(fault: Fault) -> str:
    if isinstance(fault, OperatorFault):
        return "the operator: as it says"
    return "time, else the operator: see that it runs and can be reached" if isinstance(fault, PassingFault) else ""


async def _newest_ms(store: Store) -> int:
    """The latest time that the audit knows, by the newest entries of some workspaces."""
    newest = 0
    for workspace in await store.find(Query(Workspace).by("id").page(20)):
        last = await store.find(blocks_of(workspace.id).by("-seq").page(1))
        newest = max([newest, *(link.entry.at_ms for block in last for link in block.entries())])
    return newest


def _refused_link(presigner: Presigning, storage: Blobs, now_ms: int) -> str:
    stored = storage.put(f"check/{secrets.token_hex(8)}", [SAMPLE])
    try:
        url = presigner.presign(stored, seconds=60, media_type="audio/wav", disposition="inline", now_ms=now_ms)
        request = urllib.request.Request(url, headers={"range": "bytes=2-5"})  # noqa: S310 - the storage's own
        with urllib.request.urlopen(request, timeout=PUBLIC_SECONDS) as answer:  # noqa: S310
            told = answer.status, answer.headers.get("content-type"), answer.read(100)
    except urllib.error.HTTPError as error:
        return f"a signed URL of the storage's own was answered by {error.code}"
    except (OSError, ValueError) as error:
        return f"a signed URL of the storage's own cannot be followed ({getattr(error, 'reason', error)})"
    finally:
        storage.delete(stored.key)
    return "" if told == (206, "audio/wav", SAMPLE[2:6]) else "a signed URL of the storage's own gave something else"


def _unreachable(url: str) -> str:
    request = urllib.request.Request(f"{url}/healthz", headers={"user-agent": "callvault doctor"})  # noqa: S310 - http(s), by the settings
    try:
        with urllib.request.urlopen(request, timeout=PUBLIC_SECONDS) as answer:  # noqa: S310
            told = answer.read(10_000)
    except urllib.error.HTTPError as error:
        return f"answers {error.code} where a vault would answer 200"
    except (OSError, ValueError) as error:
        return f"cannot be reached ({getattr(error, 'reason', error)})"
    with suppress(ValueError, AttributeError):
        if json.loads(told).get("status") == "ok":
            return ""
    return "is answered by something that is no vault"
