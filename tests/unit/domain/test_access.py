"""Every action against every kind of caller."""

import pytest

from callvault.domain.access import (
    OPERATOR,
    SYSTEM,
    Action,
    Caller,
    Principal,
    Thing,
    Verdict,
    decide,
)
from callvault.domain.call import Chat, Participant, common_readers, readers
from callvault.domain.recording import Recording
from callvault.domain.workspace import SCOPES

ALLOWED, UNKNOWN, HIDDEN, FORBIDDEN = Verdict.ALLOWED, Verdict.UNKNOWN, Verdict.HIDDEN, Verdict.FORBIDDEN
OPEN, PRIVATE = Thing("w"), Thing("w", ("ann", "bob"))
ALL = frozenset(SCOPES)

NEEDED = {
    Action.CREATE_CALL: {"recordings:write"},
    Action.READ_CALL: {"recordings:read", "chats:read"},
    Action.CHANGE_CALL: {"recordings:write"},
    Action.DELETE_CALL: {"recordings:delete"},
    Action.READ_CHAT: {"chats:read"},
    Action.LISTEN_CHAT: {"chats:read"},
    Action.CREATE_RECORDING: {"recordings:write"},
    Action.READ_RECORDING: {"recordings:read"},
    Action.LISTEN: {"recordings:read"},
    Action.LISTEN_ORIGINAL: {"recordings:original"},
    Action.MINT_LINK: {"recordings:read"},
    Action.WRITE_SOUND: {"recordings:write"},
    Action.CHANGE_RECORDING: {"recordings:write"},
    Action.PROCESS: {"recordings:process"},
    Action.DELETE_RECORDING: {"recordings:delete"},
    Action.SHARE: {"recordings:share"},
    Action.REVOKE_LINKS: {"recordings:share", "recordings:write"},
    Action.HOLD: {"recordings:hold"},
    Action.READ_EVENTS: {"recordings:read"},
    Action.MANAGE_WEBHOOKS: {"webhooks:manage"},
    Action.MANAGE_KEYS: {"keys:manage"},
    Action.READ_AUDIT: {"audit:read"},
    Action.MANAGE_WORKSPACE: {"workspace:manage"},
}
"""The law once more, so that no scope changes its meaning unnoticed."""
BY_PUBLIC_KEYS = {Action.CREATE_CALL}


def key(scopes: frozenset[str] = ALL, *, member: str = "ann", workspace: str = "w", kind: str = "private") -> Principal:
    return Principal("k", workspace, member, scopes, kind)


def test_the_table_knows_every_action() -> None:
    assert set(NEEDED) == set(Action)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("action", Action, ids=lambda action: action.label)
def test_one_scope_allows_what_it_is_for_and_nothing_else(action: Action, scope: str) -> None:
    expected = ALLOWED if scope in NEEDED[action] else FORBIDDEN
    assert decide(key(frozenset({scope})), action, OPEN) is expected


CALLERS = {
    "nobody": (None, OPEN, {}, UNKNOWN),
    "nobody, of a private call": (None, PRIVATE, {}, UNKNOWN),
    "a key with every scope": (key(), OPEN, {}, ALLOWED),
    "a key without a scope": (key(frozenset()), OPEN, {}, FORBIDDEN),
    "a key of another workspace": (key(workspace="x"), OPEN, {}, HIDDEN),
    "a key of another workspace, without a scope": (key(frozenset(), workspace="x"), OPEN, {}, HIDDEN),
    "a key of another workspace, of the same member": (key(workspace="x"), PRIVATE, {}, HIDDEN),
    "a public key": (key(kind="public"), OPEN, BY_PUBLIC_KEYS, FORBIDDEN),
    "a public key without a scope": (key(frozenset(), kind="public"), OPEN, {}, FORBIDDEN),
    "a public key of another workspace": (key(kind="public", workspace="x"), OPEN, {}, HIDDEN),
    "a key of a kind nobody knows": (key(kind="owner"), OPEN, BY_PUBLIC_KEYS, FORBIDDEN),
    "a participant of a private call": (key(), PRIVATE, {}, ALLOWED),
    "a participant without a scope": (key(frozenset()), PRIVATE, {}, FORBIDDEN),
    "another member, of a private call": (key(member="eve"), PRIVATE, {}, FORBIDDEN),
    "another member with a public key": (key(member="eve", kind="public"), PRIVATE, {}, FORBIDDEN),
    "any member, of a private call without participants": (key(), Thing("w", ()), {}, FORBIDDEN),
    "the operator": (OPERATOR.principal, PRIVATE, {}, ALLOWED),
    "the program itself": (SYSTEM.principal, PRIVATE, {}, ALLOWED),
}


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("action", Action, ids=lambda action: action.label)
def test_who_may(action: Action, who: str) -> None:
    principal, thing, allowed, otherwise = CALLERS[who]
    assert decide(principal, action, thing) is (ALLOWED if action in allowed else otherwise)


@pytest.mark.parametrize("kind", ["manager", "direct"])
def test_private_calls_are_for_their_participants(kind: str) -> None:
    ann = (Participant(id="ann"),)
    private = Chat(id="c", workspace_id="w", readers=readers(kind, ann))
    assert [decide(key(member=name), Action.READ_CALL, private) for name in ("ann", "eve")] == [ALLOWED, FORBIDDEN]
    for_all = Chat(id="c", workspace_id="w", readers=readers("phone", ann))
    assert decide(key(member="eve"), Action.READ_CALL, for_all) is ALLOWED


def test_a_recording_is_for_those_its_call_is_for() -> None:
    facts = {"id": "r", "workspace_id": "w", "call_id": "c", "created_ms": 0, "updated_ms": 0, "last_heard_ms": 0}
    private = Recording(readers=("ann",), **facts)
    assert [decide(key(member=name), Action.LISTEN, private) for name in ("ann", "eve")] == [ALLOWED, FORBIDDEN]
    assert decide(key(member="eve"), Action.LISTEN, Recording(**facts)) is ALLOWED
    assert decide(key(workspace="x"), Action.LISTEN, Recording(**facts)) is HIDDEN


def test_sound_of_several_calls_is_for_those_alone_whom_all_of_them_are_for() -> None:
    assert common_readers([None, None]) is None
    assert common_readers([("ann", "bob"), None]) == ("ann", "bob")
    assert common_readers([("ann", "bob"), ("bob", "eve")]) == ("bob",)
    assert common_readers([("ann",), ("eve",)]) == ()


def test_the_audit_is_told_who_it_was() -> None:
    assert Caller(key()).actor == "key:k"
    assert OPERATOR.actor == "operator"
    assert SYSTEM.actor == "system"
    assert Caller(None, actor_name="link:7").actor == "link:7"
    assert Caller(None).actor == "nobody"
