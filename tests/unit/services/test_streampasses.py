"""Stream passes: given by who may write sound, good for a moment, and worth no more than the key behind them."""

from dataclasses import replace

import pytest
from tests.audits import audited
from tests.callhouse import CallHouse, caller

from callvault.domain.access import Caller
from callvault.domain.call import Call
from callvault.domain.errors import Missing, NotAuthenticated, Refused
from callvault.domain.unit import Unit
from callvault.domain.workspace import ApiKey
from callvault.services.streampasses import SECONDS, StreamPasses

ME = caller()
VISITOR = Caller(None, "198.51.100.9", "r2", actor_name="public")
KEY = ApiKey(
    id="k",
    workspace_id="w",
    member_id="m",
    prefix="p",
    secret_sha256="",
    scopes=("recordings:read", "recordings:write"),
    created_ms=0,
)


class Gate:
    def __init__(self) -> None:
        self.house = house = CallHouse()
        tools = {"clock": house.clock, "access": house.access, "audit": house.audit}
        self.passes = StreamPasses(house.store, secrets={"s": b"s" * 32}, **tools)


@pytest.fixture
async def gate() -> Gate:
    gate, unit = Gate(), Unit()
    await gate.house.workspace()
    unit.add(KEY)
    await gate.house.store.commit(unit)
    return gate


@pytest.fixture
async def call(gate: Gate) -> Call:
    return await gate.house.calls.create(ME, {"direction": "web"})


async def test_a_pass_lets_a_visitor_write_sound_of_one_call_and_nothing_else(gate: Gate, call: Call) -> None:
    leave = await gate.passes.admit(gate.passes.issue(ME, call), VISITOR)
    principal = leave.caller.principal
    assert (leave.call_id, leave.caller.address, leave.caller.actor) == (call.id, "198.51.100.9", "key:k")
    assert principal is not None and principal.scopes == {"recordings:write"}
    await gate.house.audit.flush()
    (entry,) = [e for e in await audited(gate.house.store) if e.action == "streams.issue_pass"]
    assert entry.thing == f"call:{call.id}"


async def test_a_pass_is_good_for_half_a_minute(gate: Gate, call: Call) -> None:
    token = gate.passes.issue(ME, call)
    gate.house.clock.advance(SECONDS - 1)
    await gate.passes.admit(token, VISITOR)
    gate.house.clock.advance(1)
    with pytest.raises(NotAuthenticated):
        await gate.passes.admit(token, VISITOR)


@pytest.mark.parametrize("fate", [{"revoked_ms": 1}, {"expires_ms": 1}])
async def test_a_pass_dies_with_its_key(gate: Gate, call: Call, fate: dict) -> None:
    token, unit = gate.passes.issue(ME, call), Unit()
    unit.change(replace(KEY, version=2, **fate))
    await gate.house.store.commit(unit)
    with pytest.raises(NotAuthenticated):
        await gate.passes.admit(token, VISITOR)


async def test_a_pass_dies_with_its_workspace(gate: Gate, call: Call) -> None:
    token = gate.passes.issue(ME, call)
    await gate.house.workspace(deleted_ms=1)
    with pytest.raises(NotAuthenticated):
        await gate.passes.admit(token, VISITOR)


async def test_who_may_not_write_sound_gives_no_pass(gate: Gate, call: Call) -> None:
    for asker, error in (
        (caller("recordings:read"), Refused),
        (caller(kind="public"), Refused),
        (caller(workspace="other"), Missing),
        (VISITOR, NotAuthenticated),
    ):
        with pytest.raises(error):
            gate.passes.issue(asker, call)
