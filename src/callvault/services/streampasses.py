"""Stream passes: who may write sound lets somebody without a key, such as a browser, send that of one call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from callvault.domain.access import Action, Caller, Principal
from callvault.domain.call import Call
from callvault.domain.errors import NotAuthenticated
from callvault.domain.workspace import ApiKey, Workspace
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.wire.streampass import PREFIX, PassClaims, sign, verify

SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whose leave it is, and for which call alone."""

    caller: Caller
    call_id: str


class StreamPasses:
    def __init__(
        self, store: Store, *, clock: Clock, access: Access, audit: Audit, secrets: Mapping[str, bytes]
    ) -> None:
        """Of the secrets, by their ids, the first signs and all are believed."""
        self._store, self._clock, self._access, self._audit, self._secrets = store, clock, access, audit, secrets

    def issue(self, caller: Caller, call: Call, seconds: int = SECONDS) -> str:
        self._access.require(caller, Action.WRITE_SOUND, call, f"call:{call.id}")
        if caller.principal is None:
            raise NotAuthenticated
        secret_id, secret = next(iter(self._secrets.items()))
        expires_s = self._clock.now_ms() // 1000 + seconds
        self._audit.later(
            self._audit.entry(
                caller, "streams.issue_pass", call.workspace_id, f"call:{call.id}", "done", expires_s=expires_s
            )
        )
        claims = PassClaims(call_id=call.id, issued_by=caller.principal.key_id, expires_s=expires_s)
        return sign(claims, secret_id, secret)

    async def admit(self, token: str, visitor: Caller) -> Admitted:
        """The visitor acts as the key that gave the pass, if that may still do it, and can do nothing but stream."""
        now = self._clock.now_ms()
        claims = verify(token, self._secrets, now)
        key = await self._store.get(ApiKey, claims.issued_by)
        if key is None or key.revoked_ms is not None or (key.expires_ms is not None and now >= key.expires_ms):
            raise NotAuthenticated
        workspace = await self._store.get(Workspace, key.workspace_id)
        if workspace is None or workspace.deleted_ms is not None:
            raise NotAuthenticated
        scopes = frozenset(key.scopes).intersection(Action.WRITE_SOUND.scopes)
        principal = Principal(key.id, key.workspace_id, key.member_id, scopes, key.kind)
        return Admitted(visitor._replace(principal=principal), claims.call_id)


def is_pass(presented: str) -> bool:
    return presented.startswith(PREFIX)
