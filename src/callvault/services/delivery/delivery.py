"""Delivery: everything that goes out, under one name."""

from collections.abc import Mapping

from callvault.ports.blobs import Blobs, Presigning
from callvault.ports.codecs import Codecs
from callvault.ports.jobs import JobKind
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.delivery.artifacts import Artifacts
from callvault.services.delivery.desk import Desk
from callvault.services.delivery.downloads import Downloads
from callvault.services.delivery.expiry import Expiry
from callvault.services.delivery.links import Links
from callvault.services.delivery.renditions import Renditions
from callvault.services.delivery.surveys import Surveys
from callvault.services.delivery.views import Views
from callvault.services.delivery.waveforms import Waveforms
from callvault.services.recentworkspaces import RecentWorkspaces
from callvault.services.timelines import Unlock
from callvault.services.witness import Witness


class Delivery:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        codecs: Codecs,
        *,
        clock: Clock,
        ids: Ids,
        access: Access,
        audit: Audit,
        witness: Witness,
        views: Views,
        unlock: Unlock,
        secrets: Mapping[str, bytes],
        workspaces: RecentWorkspaces,
        clear: Blobs | None = None,
        presigner: Presigning | None = None,
        public_url: str = "",
    ) -> None:
        self.views = views
        expiry = Expiry(store, clock)
        self.waveforms, self.surveys = Waveforms(views, expiry), Surveys(views)
        self.renditions = Renditions(store, views, codecs, clock=clock, ids=ids, unlock=unlock, clear=clear)
        self.desk = Desk(store, views, self.renditions, Artifacts(store, blobs, unlock), expiry)
        self.downloads = Downloads(store, clock, ids, audit)
        self.links = Links(
            store,
            self.desk,
            clock=clock,
            ids=ids,
            access=access,
            audit=audit,
            witness=witness,
            secrets=secrets,
            workspaces=workspaces,
            presigner=presigner,
            public_url=public_url,
        )

    def kinds(self) -> list[JobKind]:
        return self.renditions.kinds()

    async def close(self) -> None:
        """What is being made is given up, and what was downloaded is written down."""
        await self.renditions.close()
        await self.downloads.flush()
