"""Webhook endpoints: made, changed, verified, given new secrets, and removed."""

import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from callvault.domain.access import Action, Caller, Thing
from callvault.domain.errors import Malformed, Missing, Refused, TooLarge
from callvault.domain.event import Event
from callvault.domain.ids import Json, token
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.webhook import DISABLED, UNVERIFIED, WebhookEndpoint
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.ports.webhooks import Answer, Secret, Sender, Signer
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.pages import Page, Place, page_of
from callvault.services.stale import again_when_stale
from callvault.services.webhooks.dialects import STANDARD, MessageForms, message
from callvault.services.webhooks.secrets import Secrets

MOST_ENDPOINTS = 50
MOST_TYPES = 50
EVENT_TYPE = re.compile(r"\*|[a-z_]{1,40}\.(\*|[A-Za-z_]{1,40})")
OVERLAP_SECONDS = 86_400
LONGEST_OVERLAP_SECONDS = 7 * 86_400
CHALLENGE = "webhook_endpoint.verification"


@dataclass(frozen=True, slots=True)
class Made:
    endpoint: WebhookEndpoint
    secret: str = field(repr=False)
    """Told this once; with ed25519 the public key."""


@dataclass(frozen=True, slots=True)
class Verified:
    endpoint: WebhookEndpoint
    answered: bool
    why: str = ""
    """Why not."""


class Endpoints:
    def __init__(
        self,
        store: Store,
        secrets: Secrets,
        sender: Sender,
        signers: Mapping[str, Signer],
        forms: MessageForms,
        *,
        clock: Clock,
        ids: Ids,
        access: Access,
        audit: Audit,
    ) -> None:
        self._store, self._secrets, self._sender = store, secrets, sender
        self._signers, self._forms = signers, forms
        self._clock, self._ids, self._access, self._audit = clock, ids, access, audit

    async def create(
        self,
        caller: Caller,
        url: str,
        *,
        event_types: Iterable[str] = (),
        description: str = "",
        dialect: str = STANDARD,
        scheme: str | None = None,
        secret: str | None = None,
        verify: bool = False,
    ) -> Made:
        """With `verify` it is told of nothing before it has answered the challenge, which is sent at once."""
        principal = self._access.permit(caller, Action.MANAGE_WEBHOOKS)
        await self._must_have_room(principal.workspace_id)
        now, scheme = self._clock.now_ms(), self._scheme(dialect, scheme)
        signed_with = self._secret(scheme, secret)
        unsigned = WebhookEndpoint(
            id=self._ids.uuid(),
            workspace_id=principal.workspace_id,
            member_id=principal.member_id,
            created_ms=now,
            updated_ms=now,
            dialect=dialect,
            scheme=scheme,
            from_position=await self._latest_position(principal.workspace_id),
            enabled=not verify,
            disabled_reason=UNVERIFIED if verify else None,
            **self._checked({"url": url, "event_types": tuple(event_types), "description": description}),
        )
        unit = Unit()
        async with self._secrets.kept(unit, principal.workspace_id, signed_with) as kept:
            endpoint = replace(unsigned, secrets=(kept,))
            unit.add(endpoint)
            await self._commit(unit, caller, "webhooks.create", endpoint)
        if verify:
            endpoint = (await self.verify(caller, endpoint.id)).endpoint
        return Made(endpoint, signed_with.public or signed_with.text)

    async def get(self, caller: Caller, endpoint_id: str) -> WebhookEndpoint:
        self._access.permit(caller, Action.MANAGE_WEBHOOKS)
        endpoint = await self._store.get(WebhookEndpoint, endpoint_id)
        if endpoint is None:
            raise Missing(what="webhook endpoint")
        self._access.require(caller, Action.MANAGE_WEBHOOKS, Thing(endpoint.workspace_id), _name(endpoint))
        return endpoint

    async def find(self, caller: Caller, place: Place, dialect: str | None = None) -> Page[WebhookEndpoint]:
        """The newest first."""
        workspace_id = self._access.permit(caller, Action.MANAGE_WEBHOOKS).workspace_id
        query = Query(WebhookEndpoint).where("workspace_id", "=", workspace_id)
        query = query.where("dialect", "=", dialect) if dialect else query
        return await page_of(self._store, query.by("-created_ms", "-id"), place)

    async def update(self, caller: Caller, endpoint_id: str, changes: Mapping[str, object]) -> WebhookEndpoint:
        """Of `url`, `event_types`, `description` and `enabled`. With another URL it is the caller's, who chose where
        its messages go; if it must verify, it is asked there first. One that is enabled again is told of what happens
        from then on; of what happened meanwhile by a replay."""
        endpoint, checked = await self.get(caller, endpoint_id), self._checked(changes)
        answers = await self._answers_anew(endpoint, checked.get("url", endpoint.url), checked.get("enabled"))
        return await self._update(caller, endpoint_id, checked, answers=answers)

    @again_when_stale
    async def _update(
        self, caller: Caller, endpoint_id: str, changes: Mapping[str, Any], *, answers: bool
    ) -> WebhookEndpoint:
        """`answers` says that it was asked at its new URL, and has answered."""
        endpoint, checked = await self.get(caller, endpoint_id), dict(changes)
        moved = checked.get("url", endpoint.url) != endpoint.url
        if moved:
            checked |= {"member_id": self._member(caller), "verified_ms": None}
        if moved and endpoint.must_verify:
            checked |= {
                "enabled": answers,
                "disabled_reason": None if answers else UNVERIFIED,
                "failing_since_ms": None,
            }
            checked["verified_ms"] = self._clock.now_ms() if answers else None
        elif checked.get("enabled") and endpoint.disabled_reason == UNVERIFIED:
            raise Refused(why="the webhook endpoint must be verified first")
        elif "enabled" in checked:
            reason = None if checked["enabled"] else endpoint.disabled_reason or "manual"
            checked |= {"disabled_reason": reason, "failing_since_ms": None}
        return await self._change(caller, "webhooks.update", endpoint, Unit(), **checked)

    async def delete(self, caller: Caller, endpoint_id: str) -> None:
        endpoint = await self.get(caller, endpoint_id)
        unit = Unit()
        unit.remove(endpoint)
        self._secrets.forget(unit, endpoint.secrets)
        await self._commit(unit, caller, "webhooks.delete", endpoint)
        await self._secrets.destroy(endpoint.secrets)

    @again_when_stale
    async def rotate(
        self, caller: Caller, endpoint_id: str, *, overlap_seconds: int = OVERLAP_SECONDS, secret: str | None = None
    ) -> Made:
        """A new secret; the one before stays valid for so long, and any older one is gone."""
        if not 0 <= overlap_seconds <= LONGEST_OVERLAP_SECONDS:
            raise Malformed(what="overlap", why=f"it is 0 to {LONGEST_OVERLAP_SECONDS} seconds")
        endpoint, now, unit = await self.get(caller, endpoint_id), self._clock.now_ms(), Unit()
        signed_with = self._secret(endpoint.scheme, secret)
        newest, expires_ms = endpoint.secrets[0], now + overlap_seconds * 1000
        before = [replace(newest, expires_ms=expires_ms)] if overlap_seconds else []
        doomed = endpoint.secrets[len(before) :]
        self._secrets.forget(unit, doomed)
        async with self._secrets.kept(unit, endpoint.workspace_id, signed_with) as kept:
            changed = await self._change(caller, "webhooks.rotate", endpoint, unit, secrets=(kept, *before))
        await self._secrets.destroy(doomed)
        return Made(changed, signed_with.public or signed_with.text)

    async def secret(self, caller: Caller, endpoint_id: str) -> str:
        """The newest secret once more, for an API whose clients ask for it; the audit says who did."""
        endpoint = await self.get(caller, endpoint_id)
        secret = await self._secrets.open(endpoint.workspace_id, endpoint.secrets[0])
        entry = self._audit.entry(caller, "webhooks.read_secret", endpoint.workspace_id, _name(endpoint))
        self._audit.later(entry)
        return secret.public or secret.text

    async def send(self, caller: Caller, endpoint_id: str, body: bytes) -> Answer:
        """Sends one message outside of all schedules, signed like the others, and says how it was answered. One that is
        disabled, or was not verified, is sent nothing here either."""
        endpoint = await self.get(caller, endpoint_id)
        if not endpoint.enabled:
            return Answer(0, error=DISABLED)
        answer = await self._send(endpoint, body)
        unit = Unit()
        await self._commit(unit, caller, "webhooks.try", endpoint, status=answer.status)
        return answer

    async def verify(self, caller: Caller, endpoint_id: str) -> Verified:
        """Sends a challenge; who answers it with its text, as such or as `{"challenge": …}`, has verified."""
        endpoint = await self.get(caller, endpoint_id)
        if why := await self._challenge(endpoint):
            return Verified(endpoint, False, why)
        return Verified(await self._set_verified(caller, endpoint.id, endpoint.url), True)

    async def headers(self, endpoint: WebhookEndpoint, message_id: str, body: bytes) -> dict[str, str]:
        """Those that a message to the endpoint is sent with now."""
        now = self._clock.now_ms()
        secrets = [await self._secrets.open(endpoint.workspace_id, kept) for kept in endpoint.valid_secrets(now)]
        signature = self._signers[endpoint.scheme].headers(secrets, message_id, now, body)
        return {"content-type": "application/json", **signature}

    async def _answers_anew(self, endpoint: WebhookEndpoint, url: str, enabled: bool | None) -> bool:
        """Whether it answers at its new URL, if it must: it is asked there when it is to be enabled, or waits for
        nothing but that."""
        wanted = endpoint.enabled or endpoint.disabled_reason == UNVERIFIED if enabled is None else enabled
        is_asked = url != endpoint.url and endpoint.must_verify and wanted
        return is_asked and not await self._challenge(replace(endpoint, url=url))

    async def _challenge(self, endpoint: WebhookEndpoint) -> str:
        """Why it was not answered; nothing when it was."""
        challenge, now = token(self._ids.secret(24)), self._clock.now_ms()
        body = message(CHALLENGE, now, {"endpointId": endpoint.id, "challenge": challenge})
        return _flaw(await self._send(endpoint, body), challenge)

    async def _send(self, endpoint: WebhookEndpoint, body: bytes) -> Answer:
        """Under an id of its own: no other message is like it."""
        message_id = f"msg_{token(self._ids.secret(16))}"
        return await self._sender.send(endpoint.url, await self.headers(endpoint, message_id, body), body)

    @again_when_stale
    async def _set_verified(self, caller: Caller, endpoint_id: str, url: str) -> WebhookEndpoint:
        endpoint = await self.get(caller, endpoint_id)
        if endpoint.url != url:
            return endpoint
        facts: dict[str, Any] = {"verified_ms": self._clock.now_ms()}
        if endpoint.disabled_reason == UNVERIFIED:
            facts |= {"enabled": True, "disabled_reason": None}
        return await self._change(caller, "webhooks.verify", endpoint, Unit(), **facts)

    def _member(self, caller: Caller) -> str:
        return self._access.permit(caller, Action.MANAGE_WEBHOOKS).member_id

    async def _change(
        self, caller: Caller, action: str, endpoint: WebhookEndpoint, unit: Unit, **facts: Any
    ) -> WebhookEndpoint:
        changed = replace(endpoint, updated_ms=self._clock.now_ms(), version=endpoint.version + 1, **facts)
        unit.change(changed)
        await self._commit(unit, caller, action, changed, fields=[*sorted(facts)])
        return changed

    async def _commit(self, unit: Unit, caller: Caller, action: str, endpoint: WebhookEndpoint, **detail: Json) -> None:
        unit.note(self._audit.entry(caller, action, endpoint.workspace_id, _name(endpoint), "done", **detail))
        await self._store.commit(unit)

    def _checked(self, changes: Mapping[str, object]) -> dict[str, Any]:
        known: dict[str, Callable[[object], object]] = {
            "url": self._url,
            "event_types": _event_types,
            "description": _description,
            "enabled": bool,
        }
        if unknown := sorted(set(changes) - set(known)):
            raise Malformed(what="webhook endpoint", why=f"{', '.join(unknown)} cannot be changed")
        return {name: known[name](value) for name, value in changes.items()}

    def _url(self, url: object) -> str:
        self._sender.check(str(url))
        return str(url)

    def _scheme(self, dialect: str, wanted: str | None) -> str:
        schemes = self._forms.of(dialect).schemes
        if wanted is not None and wanted not in schemes:
            raise Malformed(what="signature", why=f"it is {' or '.join(schemes)}")
        return wanted or schemes[0]

    def _secret(self, scheme: str, given: str | None) -> Secret:
        signer = self._signers[scheme]
        return signer.new_secret(self._ids.secret(32)) if given is None else signer.given(given)

    async def _must_have_room(self, workspace_id: str) -> None:
        if await self._store.count(Query(WebhookEndpoint).where("workspace_id", "=", workspace_id)) >= MOST_ENDPOINTS:
            raise TooLarge(what="the list of webhook endpoints", limit=MOST_ENDPOINTS)

    async def _latest_position(self, workspace_id: str) -> int:
        query = Query(Event).where("workspace_id", "=", workspace_id).by("-position")
        found: Sequence[Event] = await self._store.find(query.page(1))
        return found[0].position if found else 0


def _name(endpoint: WebhookEndpoint) -> str:
    return f"webhook_endpoint:{endpoint.id}"


def _event_types(value: object) -> tuple[str, ...]:
    types = tuple(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else ("",)
    if len(types) > MOST_TYPES or not all(EVENT_TYPE.fullmatch(one) for one in types):
        raise Malformed(
            what="event types", why=f"they are at most {MOST_TYPES}, as `recording.completed`, `recording.*`"
        )
    return types


def _description(value: object) -> str:
    if not isinstance(value, str) or len(value) > 500:
        raise Malformed(what="description", why="it is a text of at most 500 characters")
    return value


def _flaw(answer: Answer, challenge: str) -> str:
    if answer.status is None:
        return answer.error or "nothing was answered"
    if not 200 <= answer.status < 300:
        return f"the answer was {answer.status}"
    return (
        "" if hmac.compare_digest(_told(answer.body), challenge.encode()) else "the answer does not hold the challenge"
    )


def _told(body: bytes) -> bytes:
    try:
        told = json.loads(body)
    except ValueError:
        return body.strip()
    value = told.get("challenge") if isinstance(told, dict) else told
    return str(value).encode()
