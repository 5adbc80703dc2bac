"""Access: who bears a key, and whether they may do what they ask; refusals are audited here."""

import hashlib
import hmac
import re
from dataclasses import dataclass, replace

from callvault.domain.access import ALLOWED, Action, Caller, Owned, Principal, Thing, Verdict, decide
from callvault.domain.errors import Missing, NotAuthenticated, Refused, StaleWrite
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.workspace import ApiKey, Workspace
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.audit import Audit

KEY = re.compile("cvk_([0-9A-Za-z]{8})_[0-9A-Za-z]{20,64}")
REMEMBER_SECONDS = 5.0
"""How long another process may go on with a key that was revoked here; in this one it ends at once."""
USE_COUNTS_SECONDS = 60


def key_digest(presented: str) -> str:
    return hashlib.sha256(presented.encode(errors="replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    until: float
    """When it must be looked up again: soon, or when it expires."""


class Access:
    """The one way to a `Principal`, and the one question before every act."""

    def __init__(self, store: Store, clock: Clock, audit: Audit, remember_most: int = 10_000) -> None:
        self._store, self._clock, self._audit = store, clock, audit
        self._remember_most = remember_most
        self._known: dict[str, _Known] = {}
        self._used: dict[str, int] = {}
        self._changes = 0

    async def authenticate(
        self, presented: str | None, address: str | None = None, request_id: str | None = None
    ) -> Principal:
        """Whom the key lets its bearer be; `NotAuthenticated` for no key, a wrong, expired or revoked one.

        A key that was good a moment ago is found by its digest, and so by nobody who does not have the key.
        """
        presented = presented or ""
        digest = key_digest(presented)
        known = self._known.get(digest)
        if known is None or known.until <= self._clock.monotonic():
            known = await self._look_up(presented, digest, Caller(None, address, request_id))
        return known.principal

    def require(self, caller: Caller, action: Action, thing: Owned, name: str) -> frozenset[Action]:
        """Returns when the caller may, and tells what else he may do with the thing; `name` (`recording:<id>`) says in
        the audit and the error what it is about.

        `NotAuthenticated` without a key, `Missing` for another workspace's thing, else `Refused`.
        """
        principal = caller.principal
        if principal is None:
            raise NotAuthenticated
        verdict = decide(principal, action, thing)
        if verdict is ALLOWED:
            return principal.actions
        own = principal.workspace_id
        self._audit.later(self._audit.entry(caller, action, own, name, "refused", verdict=verdict.value))
        if verdict is Verdict.HIDDEN:
            raise Missing(what=name.partition(":")[0])
        raise Refused(why=_why(principal, action, thing))

    def may(self, caller: Caller, action: Action, thing: Owned) -> bool:
        """The same question, of somebody who did not ask for just this: a no is nobody's refusal."""
        return decide(caller.principal, action, thing) is ALLOWED

    def permit(self, caller: Caller, *actions: Action) -> Principal:
        """The question before anything is looked up: may this key do any of these in its own workspace at all?"""
        principal = caller.principal
        if principal is None:
            raise NotAuthenticated
        if principal.actions.isdisjoint(actions):
            own = principal.workspace_id
            self.require(caller, actions[0], Thing(own), f"workspace:{own}")
        return principal

    async def of_member(self, workspace_id: str, member_id: str, name: str) -> Principal:
        """One called `name` that may what the member may by any of his private keys that are good now: for what he has
        sent to somewhere without a key."""
        query = Query(ApiKey).where("workspace_id", "=", workspace_id).where("member_id", "=", member_id)
        now, scopes = self._clock.now_ms(), set[str]()
        for key in await self._store.find(query.by("created_ms", "id")):
            if key.kind == "private" and not _over(key, now):
                scopes.update(key.scopes)
        return Principal(name, workspace_id, member_id, frozenset(scopes))

    def forget(self, key: ApiKey) -> None:
        """It was changed: it is looked up again at its next use."""
        self._changes += 1
        self._known.pop(key.secret_sha256, None)

    async def write_uses(self) -> None:
        """Writes down when keys were last used, to the minute; called now and then, and at the end."""
        used, self._used = self._used, {}
        for key_id, used_ms in used.items():
            key = await self._store.get(ApiKey, key_id)
            if key is None:
                continue
            unit = Unit()
            unit.change(replace(key, last_used_ms=used_ms, version=key.version + 1))
            try:
                await self._store.commit(unit)
            except StaleWrite:
                continue

    async def _look_up(self, presented: str, digest: str, caller: Caller) -> _Known:
        match, changes = KEY.fullmatch(presented), self._changes
        if match is None:
            raise NotAuthenticated
        found = await self._store.find(Query(ApiKey).where("prefix", "=", match[1]).by("id").page(1))
        workspace = await self._store.get(Workspace, found[0].workspace_id) if found else None
        if workspace is None or workspace.deleted_ms is not None:
            raise NotAuthenticated
        key, now = found[0], self._clock.now_ms()
        if flaw := _flaw(key, digest, now):
            entry = self._audit.entry(caller, "keys.use", key.workspace_id, f"key:{key.id}", "refused", why=flaw)
            self._audit.later(entry)
            raise NotAuthenticated
        if now - (key.last_used_ms or 0) > USE_COUNTS_SECONDS * 1000:
            self._used[key.id] = now
        left = REMEMBER_SECONDS if key.expires_ms is None else min(REMEMBER_SECONDS, (key.expires_ms - now) / 1000)
        known = _Known(_principal(key), self._clock.monotonic() + left)
        if changes == self._changes:
            self._remember(digest, known)
        return known

    def _remember(self, digest: str, known: _Known) -> None:
        while len(self._known) >= self._remember_most:
            del self._known[next(iter(self._known))]
        self._known[digest] = known


def _principal(key: ApiKey) -> Principal:
    """Whatever is not a private key can do no more than a public one."""
    kind = "private" if key.kind == "private" else "public"
    return Principal(key.id, key.workspace_id, key.member_id, frozenset(key.scopes), kind)


def _flaw(key: ApiKey, digest: str, now_ms: int) -> str:
    if not hmac.compare_digest(key.secret_sha256, digest):
        return "wrong"
    return _over(key, now_ms)


def _over(key: ApiKey, now_ms: int) -> str:
    if key.revoked_ms is not None:
        return "revoked"
    return "expired" if key.expires_ms is not None and now_ms >= key.expires_ms else ""


def _why(principal: Principal, action: Action, thing: Owned) -> str:
    if principal.kind != "private" and decide(principal, action, thing) is Verdict.FORBIDDEN:
        return "a public key may not do this: use a private one"
    if not principal.scopes.intersection(action.scopes):
        return f"this key lacks the scope {' or '.join(action.scopes)}"
    return "this is for its participants alone"
