"""Legal holds."""

from fastapi import APIRouter

from callvault.domain.access import Action
from callvault.domain.hold import Hold
from callvault.web.auth import Asking, House, needs
from callvault.web.native.cursors import Listed
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Asked, Text, Told, seconds

router = APIRouter(prefix="/api/v1", tags=["holds"], responses=PROBLEMS)


class HoldIn(Asked):
    reason: Text = ""


class HoldOut(Told):
    id: str
    recording_id: str
    reason: str
    actor: str
    created: float
    released_at: float | None
    released_by: str | None


@router.post("/recordings/{id}/holds", status_code=201)
@needs(Action.HOLD)
async def place_hold(id: str, asked: HoldIn, caller: Asking, services: House) -> HoldOut:
    """From now on nothing deletes the recording, nor what it was made of."""
    return _out(await services.holds.place(caller, id, asked.reason))


@router.get("/recordings/{id}/holds")
@needs(Action.HOLD)
async def list_holds(id: str, caller: Asking, services: House) -> Listed[HoldOut]:
    """Released ones too."""
    return Listed(data=[_out(hold) for hold in await services.holds.of_recording(caller, id)])


@router.delete("/recordings/{id}/holds/{hold_id}")
@needs(Action.HOLD)
async def release_hold(id: str, hold_id: str, caller: Asking, services: House) -> HoldOut:
    return _out(await services.holds.release(caller, id, hold_id))


def _out(hold: Hold) -> HoldOut:
    return HoldOut(
        id=hold.id,
        recording_id=hold.recording_id,
        reason=hold.reason,
        actor=hold.actor,
        created=seconds(hold.created_ms) or 0,
        released_at=seconds(hold.released_ms),
        released_by=hold.released_by,
    )
