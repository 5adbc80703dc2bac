"""Links: URLs that open one thing for a while, ours or the bucket's own; and what is behind ours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from callvault.domain.access import Action, Caller, Thing
from callvault.domain.errors import LinkInvalid, Missing
from callvault.domain.ids import Json
from callvault.domain.recording import Recording, Version
from callvault.domain.unit import Unit
from callvault.domain.versions import heard
from callvault.ports.blobs import Presigning
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.delivery.desk import WAV, Content, Desk, Wanted
from callvault.services.delivery.downloads import Downloads
from callvault.services.lineage import family_of
from callvault.services.recentworkspaces import RecentWorkspaces
from callvault.services.stale import again_when_stale
from callvault.services.witness import Witness
from callvault.wire import disposition
from callvault.wire.linktoken import LinkClaims, sign, verify

SECONDS: Final = 3600
"""How long a link lives when nobody says."""
FILENAME_MAX: Final = 200
BUCKET: Final = "bucket"
_ENDINGS: Final = {"call-logs": ".jsonl.gz", "pcap": ".pcap", "video": ".mp4"}


class Link(NamedTuple):
    url: str
    expires_ms: int
    seconds: int = 0
    """As many as were asked for and are allowed, where one link was asked for."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What is behind a link, and how it wants to be handed out."""

    content: Content
    recording: Recording
    filename: str
    attachment: bool


class Links:
    def __init__(
        self,
        store: Store,
        desk: Desk,
        downloads: Downloads,
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
        self._store, self._desk, self._downloads = store, desk, downloads
        self._clock, self._ids, self._access = clock, ids, access
        self._audit, self._witness = audit, witness
        self._secrets, self._presigner, self._public_url = secrets, presigner, public_url
        self._workspaces = workspaces

    async def secure_url(
        self,
        caller: Caller,
        recording: Version,
        *,
        view: str = "mono",
        format: str = WAV,
        rate: int = 0,
        live: bool = False,
        artifact: str = "",
        seconds: int = SECONDS,
        attachment: bool = False,
        filename: str = "",
        action: Action = Action.MINT_LINK,
        base_url: str = "",
    ) -> Link:
        """A link to a view of this very version of the sound, or to an artifact of it, for as long as is asked, or as
        the workspace allows, or until the recording expires. Raises what opening it would raise.

        `action` is what gives the caller the right to it; `base_url` is where the client reaches us, unless the
        operator has set that.
        """
        self._access.require(caller, action, Thing.of_recording(recording), f"recording:{recording.id}")
        workspace = await self._workspaces.get(recording.workspace_id)
        if workspace is None:
            raise Missing(what="workspace")
        wanted = Wanted(view=view, format=format, rate=rate, live=live, artifact=artifact)
        left_ms = await self._desk.check(recording, wanted)
        left = seconds if left_ms is None else left_ms // 1000
        most = max(min(seconds, workspace.link_seconds_max, left), 1)
        claims = self._claims(caller, recording, wanted, most, attachment=attachment, filename=filename)
        url = await self._bucket_url(recording.id, wanted, claims) if workspace.delivery == BUCKET else None
        self._note(caller, claims, wanted, "bucket" if url else "vault")
        return Link(url or self._vault_url(claims, base_url), claims.expires_s * 1000, most)

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
        allowed = [pair for pair in asked if self._access.may(caller, action, Thing.of_recording(pair[0]))]
        workspace = await self._workspaces.get(allowed[0][0].workspace_id) if allowed else None
        if workspace is None:
            return {}
        most = min(seconds, workspace.link_seconds_max)
        minted: dict[str, dict[Wanted, Link]] = {}
        for recording, there in await self._desk.there(allowed):
            claims = {wanted: self._claims(caller, recording, wanted, most, attachment=attachment) for wanted in there}
            minted[recording.id] = {
                w: Link(self._vault_url(claim, base_url), claim.expires_s * 1000) for w, claim in claims.items()
            }
            self._note_all(caller, recording, claims)
        return minted

    async def follow(
        self,
        token: str,
        *,
        address: str | None = None,
        request_id: str | None = None,
        byte_range: str | None = None,
        counted: bool = True,
    ) -> Followed:
        """What a token opens: `LinkInvalid`, `LinkExpired`, or what is wrong with the thing itself.

        A bad token is refused before anything is read. `counted` says that bytes will be sent.
        """
        claims = verify(token, self._secrets, self._clock.now_ms())
        recording = await self._store.get(Recording, claims.recording_id)
        caller = Caller(None, address, request_id, actor_name=f"link:{claims.link_id}")
        if recording is None or recording.deleted_ms is not None or recording.workspace_id != claims.workspace_id:
            raise LinkInvalid
        wanted = _wanted(claims)
        if recording.link_epoch != claims.link_epoch:
            thing = f"recording:{recording.id}"
            refusal = self._audit.entry(caller, Action.LISTEN, recording.workspace_id, thing, "refused", why="revoked")
            self._audit.later(refusal)
            raise LinkInvalid
        recording = await self._heard(claims, recording)
        content = await self._desk.open(recording, wanted)
        if counted:
            self._downloads.began(caller, recording, wanted.name, byte_range=byte_range)
        return Followed(content, recording, claims.filename, claims.attachment)

    @again_when_stale
    async def revoke(self, caller: Caller, recording_id: str) -> Recording:
        """No link to the recording that was made until now opens it any more; bucket links run on until they expire."""
        recording = await self._store.get(Recording, recording_id)
        if recording is None or recording.deleted_ms is not None:
            raise Missing(what="recording")
        thing = Thing.of_recording(recording)
        self._access.require(caller, Action.REVOKE_LINKS, thing, f"recording:{recording_id}")
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
        return heard(recording, await family_of(self._store, Recording, [recording]), originals_too=False)

    def _claims(
        self,
        caller: Caller,
        recording: Version,
        wanted: Wanted,
        seconds: int,
        *,
        attachment: bool = False,
        filename: str = "",
    ) -> LinkClaims:
        kind = "artifact" if wanted.artifact else "view" if wanted.format == WAV else "rendition"
        return LinkClaims(
            workspace_id=recording.workspace_id,
            recording_id=recording.id,
            link_id=self._ids.uuid(),
            minted_by=caller.principal.key_id if caller.principal else caller.actor,
            kind=kind,
            what=wanted.artifact or wanted.view,
            format=wanted.format,
            rate=wanted.rate,
            live=wanted.live,
            originals=self._access.may(caller, Action.LISTEN_ORIGINAL, Thing.of_recording(recording)),
            attachment=attachment,
            filename=filename[:FILENAME_MAX] or _filename(recording, wanted),
            expires_s=self._clock.now_ms() // 1000 + max(seconds, 1),
            link_epoch=recording.link_epoch,
        )

    def _vault_url(self, claims: LinkClaims, base_url: str) -> str:
        key_id, secret = next(iter(self._secrets.items()))
        return f"{self._public_url or base_url}/link/{sign(claims, key_id, secret)}"

    async def _bucket_url(self, recording_id: str, wanted: Wanted, claims: LinkClaims) -> str | None:
        """The storage's own URL of the whole thing; None where the storage cannot, or holds it sealed."""
        if self._presigner is None or wanted.live:
            return None
        recording = await self._store.get(Recording, recording_id)
        content = await self._desk.whole(recording, wanted) if recording else None
        if content is None or content.stored.sealing is not None:
            return None
        return self._presigner.presign(
            content.stored,
            seconds=claims.expires_s - self._clock.now_ms() // 1000,
            media_type=content.media_type,
            disposition=disposition.serialize(claims.filename, attachment=claims.attachment),
            now_ms=self._clock.now_ms(),
        )

    def _note(self, caller: Caller, claims: LinkClaims, wanted: Wanted, door: str) -> None:
        entry = self._audit.entry(
            caller,
            Action.MINT_LINK,
            claims.workspace_id,
            f"recording:{claims.recording_id}",
            link=claims.link_id,
            what=wanted.name,
            expires_s=claims.expires_s,
            door=door,
        )
        self._audit.later(entry)

    def _note_all(self, caller: Caller, recording: Recording, claims: Mapping[Wanted, LinkClaims]) -> None:
        """One entry for what was minted together."""
        links: dict[str, Json] = {wanted.name: claim.link_id for wanted, claim in claims.items()}
        if claims:
            expires_s = next(iter(claims.values())).expires_s
            thing, workspace_id = f"recording:{recording.id}", recording.workspace_id
            facts: dict[str, Json] = {"links": links, "expires_s": expires_s, "door": "vault"}
            self._audit.later(self._audit.entry(caller, Action.MINT_LINK, workspace_id, thing, "done", **facts))


def _wanted(claims: LinkClaims) -> Wanted:
    if claims.kind == "artifact":
        return Wanted(artifact=claims.what)
    return Wanted(view=claims.what, format=claims.format, rate=claims.rate, live=claims.live)


def _filename(recording: Version, wanted: Wanted) -> str:
    if wanted.artifact:
        return f"{wanted.artifact}-{recording.id}{_ENDINGS.get(wanted.artifact, '')}"
    side = "" if wanted.view == "mono" else f"-{wanted.view.replace(':', '-')}"
    return f"recording-{recording.id}{side}.{wanted.format}"
