"""Webhooks: endpoints are told of events, each in the form of its dialect, until they have answered."""

from collections.abc import Iterable, Mapping

from callvault.domain.schedule import Schedule
from callvault.ports.blobs import Blobs
from callvault.ports.jobs import Duty, JobKind
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.ports.webhooks import Sender, Signer
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.webhooks.deliveries import Deliveries
from callvault.services.webhooks.dialects import MessageForm, MessageForms
from callvault.services.webhooks.endpoints import Endpoints
from callvault.services.webhooks.planning import Planning
from callvault.services.webhooks.secrets import Secrets, Unlock
from callvault.services.webhooks.sending import Sending


class Webhooks:
    """All of it together, from what the world gives: `endpoints` and `deliveries` for callers, the rest for workers."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        unlock: Unlock,
        *,
        sender: Sender,
        signers: Mapping[str, Signer],
        forms: Iterable[MessageForm] = (),
        clock: Clock,
        ids: Ids,
        access: Access,
        audit: Audit,
    ) -> None:
        self.forms = known = MessageForms(forms)
        secrets = Secrets(store, blobs, unlock, clock=clock, ids=ids)
        self.endpoints = Endpoints(
            store, secrets, sender, signers, known, clock=clock, ids=ids, access=access, audit=audit
        )
        self._planning = Planning(store, known, clock=clock, ids=ids)
        self._sending = Sending(store, self.endpoints, self._planning, sender, known, clock=clock, ids=ids, audit=audit)
        self.deliveries = Deliveries(
            store, self.endpoints, self._planning, known, clock=clock, ids=ids, access=access, audit=audit
        )

    def kinds(self) -> list[JobKind]:
        return [*self._sending.kinds(), *self.deliveries.kinds()]

    def schedules(self) -> list[Schedule]:
        return self.deliveries.schedules()

    def duties(self) -> list[Duty]:
        return self._planning.duties()
