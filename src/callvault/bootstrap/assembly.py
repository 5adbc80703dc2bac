"""The services, put together over adapters."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callvault.bootstrap.adapters import Adapters
from callvault.domain.errors import DiskFull
from callvault.domain.stored import StorageFacts
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.assembly import Assembly
from callvault.services.audit import Audit, AuditTrail
from callvault.services.calls import Calls
from callvault.services.delivery.surveys import Surveys
from callvault.services.delivery.takes import CodedTakes
from callvault.services.delivery.views import Views
from callvault.services.delivery.waveforms import Waveforms
from callvault.services.events import Events
from callvault.services.holds import Holds
from callvault.services.house import Check, Services
from callvault.services.idempotency import Idempotency
from callvault.services.ingest.intake import Intake
from callvault.services.jobs import Jobs
from callvault.services.keys import Keys
from callvault.services.purges import Purges
from callvault.services.recordings import Recordings
from callvault.services.removal import Removal
from callvault.services.sealing import Sealing
from callvault.services.timelines import Timelines
from callvault.services.transcripts import Transcripts
from callvault.services.uploads import Uploads
from callvault.services.verification import Verification
from callvault.services.witness import Witness
from callvault.services.workspaces import Workspaces
from callvault.settings import Settings
from callvault.wire.storageurl import parse_storage_url

FREE_BYTES: Final = 256 * 2**20
"""With less free space the house is not well: what comes in needs room before it can move to storage."""


@dataclass(slots=True)
class _Floor:
    """What most services stand on."""

    clock: Clock
    ids: Ids
    store: Store
    audit: Audit
    access: Access
    witness: Witness


def assemble(adapters: Adapters, settings: Settings) -> Services:
    """The services over any adapters: those of the settings, or those that a test has in its hands."""
    clock, ids, store, blobs = adapters.clock, adapters.ids, adapters.store, adapters.blobs
    audit = Audit(store, clock, ids)
    floor = _Floor(clock, ids, store, audit, Access(store, clock, audit), Witness(clock, ids, audit))
    trail = AuditTrail(store, audit)
    sealing = Sealing(store, adapters.keyring, adapters.master, clock=clock, ids=ids, audit=audit, access=floor.access)
    events = Events(store, floor.access)
    store.listen(events.committed)
    timelines = Timelines(store, adapters.spool, clock, sealing.ensure)
    calls, recordings = _calls(floor)
    views = Views(timelines, blobs, CodedTakes(adapters.codecs))
    intake = _intake(floor, adapters, timelines, views, sealing)
    uploads = Uploads(
        store,
        blobs,
        clock=clock,
        ids=ids,
        access=floor.access,
        recordings=recordings,
        unlock=sealing.ensure,
    )
    return Services(
        clock=clock,
        ids=ids,
        store=store,
        blobs=blobs,
        audit=audit,
        audit_trail=trail,
        access=floor.access,
        keys=Keys(store, clock, ids, audit, floor.access),
        workspaces=_workspaces(floor, sealing, settings),
        sealing=sealing,
        verification=Verification(store, blobs, sealing, trail),
        calls=calls,
        recordings=recordings,
        holds=Holds(store, clock=clock, ids=ids, witness=floor.witness, recordings=recordings),
        timelines=timelines,
        transcripts=Transcripts(
            store,
            clock=clock,
            ids=ids,
            witness=floor.witness,
            calls=calls,
            recordings=recordings,
            timelines=timelines,
        ),
        jobs=Jobs(store, clock, audit, floor.access),
        idempotency=Idempotency(store, clock, ids),
        purges=Purges(store, blobs),
        views=views,
        intake=intake,
        uploads=uploads,
        events=events,
        waveforms=Waveforms(views),
        surveys=Surveys(views),
        assembly=Assembly(store, uploads, intake.files, intake.completion),
        scratch=str(settings.data),
        storage=_storage_facts(settings.storage_url),
        checks=_checks(adapters, settings),
        gauges={"audit_entries_waiting": lambda: audit.waiting},
    )


def _calls(floor: _Floor) -> tuple[Calls, Recordings]:
    store, clock, ids, access, witness = floor.store, floor.clock, floor.ids, floor.access, floor.witness
    removal = Removal(store, clock, ids, witness)
    calls = Calls(store, clock=clock, ids=ids, access=access, witness=witness, removal=removal)
    recordings = Recordings(store, clock=clock, ids=ids, access=access, witness=witness, removal=removal, calls=calls)
    return calls, recordings


def _intake(floor: _Floor, adapters: Adapters, timelines: Timelines, views: Views, sealing: Sealing) -> Intake:
    return Intake(
        floor.store,
        adapters.blobs,
        adapters.spool,
        adapters.codecs,
        clock=floor.clock,
        ids=floor.ids,
        access=floor.access,
        witness=floor.witness,
        timelines=timelines,
        views=views,
        unlock=sealing.ensure,
    )


def _workspaces(floor: _Floor, sealing: Sealing, settings: Settings) -> Workspaces:
    return Workspaces(
        floor.store,
        clock=floor.clock,
        ids=floor.ids,
        audit=floor.audit,
        access=floor.access,
        new_key=sealing.new_workspace_key,
        defaults={
            "link_seconds_max": settings.link_seconds_max,
            "idle_complete_seconds": settings.idle_complete_seconds,
        },
    )


def _storage_facts(url: str) -> StorageFacts:
    place = parse_storage_url(url, {})
    providers = {"s3": "s3", "gs": "gcs", "az": "azure", "file": "disk"}
    provider = providers.get(place.scheme, place.scheme)
    if "r2.cloudflarestorage.com" in place.endpoint(""):
        provider = "cloudflare-r2"
    return StorageFacts(
        provider=provider,
        bucket=place.bucket or None,
        region=place.region if place.scheme == "s3" else None,
        prefix="" if place.scheme == "file" else place.prefix,
    )


def _checks(adapters: Adapters, settings: Settings) -> dict[str, Check]:
    return {
        "database": adapters.store.check,
        "storage": lambda: asyncio.to_thread(adapters.blobs.check),
        "disk": lambda: asyncio.to_thread(_check_disk, settings.data),
    }


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise DiskFull(path=folder)
