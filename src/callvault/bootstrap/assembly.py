"""The services, put together over adapters."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

from callvault.adapters.room import DiskRoom
from callvault.bootstrap.adapters import Adapters
from callvault.domain.errors import Misconfigured
from callvault.domain.stored import StorageFacts
from callvault.ports.spool import Spool
from callvault.services.access import Access
from callvault.services.actions.compress import Compress
from callvault.services.actions.convert import Convert
from callvault.services.actions.merge import Merge
from callvault.services.actions.redact import Redact
from callvault.services.actions.trim import Trim
from callvault.services.assembly import Assembly
from callvault.services.audit import Audit, AuditTrail
from callvault.services.calls import Calls
from callvault.services.delivery.delivery import Delivery
from callvault.services.delivery.expiry import Expiry
from callvault.services.delivery.takes import CodedTakes
from callvault.services.delivery.views import Views
from callvault.services.derivations import Derivations
from callvault.services.erasures import Erasures
from callvault.services.events import Events
from callvault.services.holds import Holds
from callvault.services.house import Check, Floor, Offices, Services
from callvault.services.idempotency import Idempotency
from callvault.services.ingest.intake import Intake
from callvault.services.jobs import Jobs
from callvault.services.keeping import Keeping
from callvault.services.keys import Keys
from callvault.services.purges import Purges
from callvault.services.recentworkspaces import RecentWorkspaces
from callvault.services.recordings import Recordings
from callvault.services.removal import Removal
from callvault.services.retention import Retention
from callvault.services.sealing import Sealing
from callvault.services.streampasses import StreamPasses
from callvault.services.timelines import Timelines
from callvault.services.transcripts import Transcripts
from callvault.services.uploads import Uploads
from callvault.services.verbs import Verbs
from callvault.services.verification import Verification
from callvault.services.versionfiles import VersionFiles
from callvault.services.webhooks import Webhooks
from callvault.services.witness import Witness
from callvault.services.workspaces import Workspaces
from callvault.settings import Settings
from callvault.wire.storageurl import parse_storage_url


def assemble(adapters: Adapters, settings: Settings) -> Services:
    """The services over any adapters: those of the settings, or those that a test has in its hands."""
    floor = _floor(adapters)
    store, clock, ids = floor.store, floor.clock, floor.ids
    timelines = Timelines(store, adapters.spool, clock, floor.sealing.ensure)
    removal = Removal(store, clock, ids, floor.witness)
    calls, recordings = _calls(floor, removal)
    views = Views(timelines, floor.blobs, CodedTakes(adapters.codecs))
    workspaces = RecentWorkspaces(store, clock)
    adapters.store.listen(workspaces.committed)
    intake = _intake(floor, adapters, timelines, views, workspaces)
    uploads = _uploads(floor, recordings)
    delivery = _delivery(floor, adapters, views, workspaces, settings)
    return Services(
        **_told(_offices(floor, adapters, settings)),
        calls=calls,
        recordings=recordings,
        holds=Holds(store, clock=clock, ids=ids, witness=floor.witness, recordings=recordings),
        timelines=timelines,
        transcripts=_transcripts(floor, calls, recordings, timelines),
        purges=Purges(store, floor.blobs),
        retention=Retention(store, clock=clock, witness=floor.witness, removal=removal),
        erasures=_erasures(floor, calls),
        intake=intake,
        delivery=delivery,
        uploads=uploads,
        keeping=_keeping(floor, recordings),
        assembly=Assembly(store, uploads, intake.files, intake.completion),
        verbs=_verbs(floor, adapters, recordings, delivery),
    )


def _told(floor: Floor) -> dict[str, Any]:
    return {each.name: getattr(floor, each.name) for each in fields(floor)}


def _offices(floor: Floor, adapters: Adapters, settings: Settings) -> Offices:
    store, clock, audit, access = floor.store, floor.clock, floor.audit, floor.access
    trail, events = AuditTrail(store, audit), Events(store, access, clock)
    adapters.store.listen(events.committed)
    return Offices(
        **_told(floor),
        audit_trail=trail,
        keys=Keys(store, clock, floor.ids, audit, access),
        workspaces=_workspaces(floor, settings),
        verification=Verification(store, floor.blobs, floor.sealing, trail),
        jobs=Jobs(store, clock, audit, access),
        idempotency=Idempotency(store, clock, floor.ids),
        events=events,
        webhooks=_webhooks(floor, adapters),
        stream_passes=StreamPasses(store, clock=clock, access=access, audit=audit, secrets=adapters.link_secrets),
        room=adapters.room,
        storage=_storage_facts(settings.storage_url),
        checks=_checks(adapters, settings),
        gauges={"audit_entries_waiting": lambda: audit.waiting},
    )


def _floor(adapters: Adapters) -> Floor:
    clock, ids, store = adapters.clock, adapters.ids, adapters.store
    audit = Audit(store, clock)
    access = Access(store, clock, audit)
    return Floor(
        clock=clock,
        ids=ids,
        store=store,
        blobs=adapters.sparing or adapters.blobs,
        audit=audit,
        access=access,
        witness=Witness(clock, ids, audit),
        sealing=Sealing(store, adapters.keyring, adapters.master, clock=clock, ids=ids, audit=audit, access=access),
    )


def _calls(floor: Floor, removal: Removal) -> tuple[Calls, Recordings]:
    store, clock, ids, access, witness = floor.store, floor.clock, floor.ids, floor.access, floor.witness
    calls = Calls(store, clock=clock, ids=ids, access=access, witness=witness, removal=removal)
    recordings = Recordings(store, clock=clock, ids=ids, access=access, witness=witness, removal=removal, calls=calls)
    return calls, recordings


def _erasures(floor: Floor, calls: Calls) -> Erasures:
    return Erasures(
        floor.store,
        floor.blobs,
        clock=floor.clock,
        ids=floor.ids,
        access=floor.access,
        witness=floor.witness,
        calls=calls,
    )


def _transcripts(floor: Floor, calls: Calls, recordings: Recordings, timelines: Timelines) -> Transcripts:
    return Transcripts(
        floor.store,
        clock=floor.clock,
        ids=floor.ids,
        witness=floor.witness,
        calls=calls,
        recordings=recordings,
        timelines=timelines,
    )


def _intake(
    floor: Floor, adapters: Adapters, timelines: Timelines, views: Views, workspaces: RecentWorkspaces
) -> Intake:
    return Intake(
        floor.store,
        floor.blobs,
        adapters.spool,
        adapters.codecs,
        emptying=adapters.blobs,
        clock=floor.clock,
        ids=floor.ids,
        access=floor.access,
        witness=floor.witness,
        timelines=timelines,
        views=views,
        unlock=floor.sealing.ensure,
        workspaces=workspaces,
    )


def _keeping(floor: Floor, recordings: Recordings) -> Keeping:
    return Keeping(
        floor.store,
        floor.blobs,
        clock=floor.clock,
        ids=floor.ids,
        access=floor.access,
        witness=floor.witness,
        recordings=recordings,
        unlock=floor.sealing.ensure,
    )


def _uploads(floor: Floor, recordings: Recordings) -> Uploads:
    return Uploads(
        floor.store,
        floor.blobs,
        clock=floor.clock,
        ids=floor.ids,
        access=floor.access,
        recordings=recordings,
        unlock=floor.sealing.ensure,
    )


def _delivery(
    floor: Floor, adapters: Adapters, views: Views, workspaces: RecentWorkspaces, settings: Settings
) -> Delivery:
    return Delivery(
        floor.store,
        floor.blobs,
        adapters.codecs,
        clock=floor.clock,
        ids=floor.ids,
        access=floor.access,
        audit=floor.audit,
        witness=floor.witness,
        views=views,
        unlock=floor.sealing.ensure,
        secrets=adapters.link_secrets,
        workspaces=workspaces,
        clear=adapters.clear,
        presigner=adapters.presigner,
        public_url=settings.public_url,
    )


def _verbs(floor: Floor, adapters: Adapters, recordings: Recordings, delivery: Delivery) -> Verbs:
    store, views, clock, witness = floor.store, delivery.views, floor.clock, floor.witness
    expiry = Expiry(store, clock)
    derivations = Derivations(store, views, expiry, clock=clock, witness=witness, recordings=recordings)
    renditions = delivery.renditions
    files = VersionFiles(store, derivations, views, renditions, adapters.codecs, clock=clock, witness=witness)
    return Verbs(
        trim=Trim(derivations),
        merge=Merge(derivations),
        redact=Redact(store, derivations),
        convert=Convert(files),
        compress=Compress(files),
        files=files,
    )


def _webhooks(floor: Floor, adapters: Adapters) -> Webhooks:
    return Webhooks(
        floor.store,
        adapters.blobs,
        floor.sealing.ensure,
        sender=adapters.sender,
        signers=adapters.signers,
        clock=floor.clock,
        ids=floor.ids,
        access=floor.access,
        audit=floor.audit,
    )


def _workspaces(floor: Floor, settings: Settings) -> Workspaces:
    return Workspaces(
        floor.store,
        clock=floor.clock,
        ids=floor.ids,
        audit=floor.audit,
        access=floor.access,
        new_key=floor.sealing.new_workspace_key,
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
    # Of a disk that hangs each look holds a thread for ever.
    looking = ThreadPoolExecutor(1, "disk")
    return {
        "database": adapters.store.check,
        "storage": lambda: asyncio.to_thread(adapters.blobs.check),
        "disk": lambda: asyncio.wrap_future(looking.submit(_check_disk, settings.data, adapters.spool)),
    }


def _check_disk(folder: Path, spool: Spool) -> None:
    try:
        folder.stat()
    except OSError as error:
        raise Misconfigured(problems=f"the data folder {folder} cannot be used: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise Misconfigured(problems=f"the data folder {folder} cannot be written")
    DiskRoom(folder).check()
    spool.check()
