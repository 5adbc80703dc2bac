"""Links: URLs that open one thing for a while, ours or the bucket's own; and what is behind ours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from callvault.domain.access import Action, Caller
from callvault.domain.errors import LinkInvalid, Malformed, Missing
from callvault.domain.ids import Json
from callvault.domain.recording import Recording, Version
from callvault.domain.unit import Unit
from callvault.domain.versions import heard
from callvault.domain.workspace import Workspace
from callvault.ports.blobs import Presigning
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.delivery.desk import Content, Desk, Wanted
from callvault.services.lineage import beside, family_of
from callvault.services.recentworkspaces import RecentWorkspaces
from callvault.services.stale import again_when_stale
from callvault.services.witness import Witness
from callvault.wire import disposition
from callvault.wire.linktoken import LinkClaims, sign, verify

SECONDS: Final = 3600
"""How long a link lives when nobody says."""
FILENAME_MAX: Final = 200
BUCKET: Final = "bucket"


class Link(NamedTuple):
    url: str
    expires_ms: int
    seconds: int = 0
    """As many as were asked for and are allowed, where one link was asked for."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What is behind a link, and how it wants to be handed out; who does so writes it down (`Downloads`)."""

    caller: Caller
    content: Content
    recording: Recording
    wanted: Wanted
    filename: str
    attachment: bool


class Links:
    def __init__(
        self,
        store: Store,
        desk: Desk,
        *,
        clock: Clock,
        ids: Ids,
        access: Access,
        audit: Audit,
        witness: Witness,
        secrets: Mapping[str, bytes],
        workspaces: RecentWorkspaces,
        presigner: Presigning | None = None,
        public_url: str = "",
    ) -> None:
        """Of the secrets, by their ids, the first signs and all are believed."""
        self._store, self._desk = store, desk
        self._clock, self._ids, self._access = clock, ids, access
        self._audit, self._witness = audit, witness
        self._secrets, self._presigner, self._public_url = secrets, presigner, public_url
        self._key_id, self._secret = next(iter(secrets.items()))
        self._workspaces = workspaces

    async def secure_url(
        self,
        caller: Caller,
        recording: Version,
        wanted: Wanted,
        *,
        seconds: int = SECONDS,
        attachment: bool = False,
        filename: str = "",
        action: Action = Action.MINT_LINK,
        base_url: str = "",
    ) -> Link:
        """A link to what is wanted of this very version of the sound, for as long as is asked, or as the workspace
        allows, or until the recording expires. Raises what opening it would raise.

        `action` is what gives the caller the right to it; `base_url` is where the client reaches us, unless the
        operator has set that.
        """
        thing = f"recording:{recording.id}"
        may = self._access.require(caller, action, recording, thing)
        workspace = await self._workspaces.get(recording.workspace_id)
        if workspace is None:
            raise Missing(what="workspace")
        left_ms = await self._desk.check(recording, wanted)
        most = _seconds(seconds, workspace, left_ms)
        originals, filename = Action.LISTEN_ORIGINAL in may, _filename(filename)
        claims = self._claims(recording, wanted, most, originals=originals, attachment=attachment, filename=filename)
        token, link_id = sign(claims, self._key_id, self._secret)
        url = await self._bucket_url(wanted, claims) if workspace.delivery == BUCKET else None
        ends, door = claims.expires_s, "bucket" if url else "vault"
        entry = self._audit.entry(
            caller, Action.MINT_LINK, workspace.id, thing, link=link_id, what=wanted.name, expires_s=ends, door=door
        )
        self._audit.later(entry)
        return Link(url or self._vault_url(token, base_url), ends * 1000, most)

    async def secure_urls(
        self,
        caller: Caller,
        asked: Iterable[tuple[Recording, Sequence[Wanted]]],
        *,
        seconds: int = SECONDS,
        attachment: bool = False,
        action: Action = Action.MINT_LINK,
        base_url: str = "",
    ) -> dict[str, dict[Wanted, Link]]:
        """Vault links to what there is of all that is wanted, by the recordings' ids: for lists, where no look is had
        at each. All are of one workspace, and what the caller has no right to is left out."""
        allowed = [pair for pair in asked if self._access.may(caller, action, pair[0])]
        workspace = await self._workspaces.get(allowed[0][0].workspace_id) if allowed else None
        if workspace is None:
            return {}
        minted: dict[str, dict[Wanted, Link]] = {}
        for recording, there, left_ms in await self._desk.there(allowed):
            most = _seconds(seconds, workspace, left_ms)
            originals = self._access.may(caller, Action.LISTEN_ORIGINAL, recording)
            claims = {
                wanted: self._claims(recording, wanted, most, originals=originals, attachment=attachment)
                for wanted in there
            }
            tokens = {wanted: sign(claim, self._key_id, self._secret) for wanted, claim in claims.items()}
            minted[recording.id] = {
                wanted: Link(self._vault_url(token, base_url), claims[wanted].expires_s * 1000)
                for wanted, (token, _) in tokens.items()
            }
            if claims:
                links: dict[str, Json] = {wanted.name: link_id for wanted, (_, link_id) in tokens.items()}
                expires_s = next(iter(claims.values())).expires_s
                told: dict[str, Json] = {"links": links, "expires_s": expires_s, "door": "vault"}
                thing = f"recording:{recording.id}"
                self._audit.later(self._audit.entry(caller, Action.MINT_LINK, workspace.id, thing, "done", **told))
        return minted

    async def follow(self, token: str, *, address: str | None = None, request_id: str | None = None) -> Followed:
        """What a token opens: `LinkInvalid`, `LinkExpired`, or what is wrong with the thing itself.

        A bad token is refused before anything is read.
        """
        claims, link_id = verify(token, self._secrets, self._clock.now_ms())
        recording = await self._store.get(Recording, claims.recording_id)
        caller = Caller(None, address, request_id, actor_name=f"link:{link_id}")
        if recording is None or recording.deleted_ms is not None:
            raise LinkInvalid
        wanted = _wanted(claims)
        if recording.link_epoch != claims.link_epoch:
            thing = f"recording:{recording.id}"
            refusal = self._audit.entry(caller, Action.LISTEN, recording.workspace_id, thing, "refused", why="revoked")
            self._audit.later(refusal)
            raise LinkInvalid
        recording = await self._heard(claims, recording)
        content = await self._desk.open(recording, wanted)
        filename = claims.filename or wanted.filename(recording.id, content.media_type)
        return Followed(caller, content, recording, wanted, filename, claims.attachment)

    @again_when_stale
    async def revoke(self, caller: Caller, recording_id: str) -> Recording:
        """No link to the recording that was made until now opens it any more; bucket links run on until they expire."""
        recording = await self._store.get(Recording, recording_id)
        if recording is None or recording.deleted_ms is not None:
            raise Missing(what="recording")
        self._access.require(caller, Action.REVOKE_LINKS, recording, f"recording:{recording_id}")
        changed = replace(recording, link_epoch=recording.link_epoch + 1, version=recording.version + 1)
        unit = Unit()
        unit.change(changed)
        self._witness.of_recording(unit, caller, Action.REVOKE_LINKS, changed)
        await self._store.commit(unit)
        return changed

    async def _heard(self, claims: LinkClaims, recording: Recording) -> Recording:
        """What was redacted after the link was made opens no original to those whose maker might hear none."""
        if claims.originals:
            return recording
        family = await family_of(self._store, Recording, [recording])
        return await beside(family, lambda: heard(recording, family, originals_too=False))

    def _claims(
        self,
        recording: Version,
        wanted: Wanted,
        seconds: int,
        *,
        originals: bool,
        attachment: bool,
        filename: str = "",
    ) -> LinkClaims:
        return LinkClaims(  # in their order: to give each by its name takes twice as long
            recording.id,
            wanted.artifact or wanted.view,
            self._ids.nonce(),
            self._clock.now_ms() // 1000 + seconds,
            "" if wanted.artifact else wanted.format,
            wanted.rate,
            attachment,
            wanted.live,
            originals,
            filename,
            recording.link_epoch,
        )

    def _vault_url(self, token: str, base_url: str) -> str:
        return f"{self._public_url or base_url}/link/{token}"

    async def _bucket_url(self, wanted: Wanted, claims: LinkClaims) -> str | None:
        """The storage's own URL of the whole thing; None where the storage cannot, or holds it sealed."""
        if self._presigner is None or wanted.live:
            return None
        recording = await self._store.get(Recording, claims.recording_id)
        content = await self._desk.whole(recording, wanted) if recording else None
        if content is None or content.stored.sealing is not None:
            return None
        filename = claims.filename or wanted.filename(claims.recording_id, content.media_type)
        return self._presigner.presign(
            content.stored,
            seconds=claims.expires_s - self._clock.now_ms() // 1000,
            media_type=content.media_type,
            disposition=disposition.serialize(filename, attachment=claims.attachment),
            now_ms=self._clock.now_ms(),
        )


def _seconds(asked: int, workspace: Workspace, left_ms: int | None) -> int:
    """How long a link may live to what is there for so many milliseconds more."""
    left = asked if left_ms is None else left_ms // 1000
    return max(min(asked, workspace.link_seconds_max, left), 1)


def _filename(asked: str) -> str:
    if "\0" in asked:
        raise Malformed(what="filename", why="a NUL is in it")
    return asked[:FILENAME_MAX]


def _wanted(claims: LinkClaims) -> Wanted:
    if not claims.format:
        return Wanted(artifact=claims.what)
    return Wanted(view=claims.what, format=claims.format, rate=claims.rate, live=claims.live)
