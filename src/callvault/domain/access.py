"""Who may do what: one pure function decides every access, from the key, the member, the action and the thing."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple, Protocol

from callvault.domain.workspace import SCOPES


class Action(Enum):
    """What can be done, with the scopes any one of which allows it."""

    CREATE_CALL = ("calls.create", ("recordings:write",))
    READ_CALL = ("calls.read", ("recordings:read", "chats:read"))
    CHANGE_CALL = ("calls.change", ("recordings:write",))
    DELETE_CALL = ("calls.delete", ("recordings:delete",))
    READ_CHAT = ("chats.read", ("chats:read",))
    LISTEN_CHAT = ("chats.listen", ("chats:read",))
    CREATE_RECORDING = ("recordings.create", ("recordings:write",))
    READ_RECORDING = ("recordings.read", ("recordings:read",))
    LISTEN = ("recordings.listen", ("recordings:read",))
    LISTEN_ORIGINAL = ("recordings.listen_original", ("recordings:original",))
    MINT_LINK = ("recordings.mint_link", ("recordings:read",))
    WRITE_SOUND = ("recordings.write", ("recordings:write",))
    CHANGE_RECORDING = ("recordings.change", ("recordings:write",))
    PROCESS = ("recordings.process", ("recordings:process",))
    DELETE_RECORDING = ("recordings.delete", ("recordings:delete",))
    SHARE = ("recordings.share", ("recordings:share",))
    REVOKE_LINKS = ("recordings.revoke_links", ("recordings:share", "recordings:write"))
    HOLD = ("recordings.hold", ("recordings:hold",))
    READ_EVENTS = ("events.read", ("recordings:read",))
    MANAGE_WEBHOOKS = ("webhooks.manage", ("webhooks:manage",))
    MANAGE_KEYS = ("keys.manage", ("keys:manage",))
    READ_AUDIT = ("audit.read", ("audit:read",))
    MANAGE_WORKSPACE = ("workspace.manage", ("workspace:manage",))

    def __init__(self, label: str, scopes: tuple[str, ...]) -> None:
        self.label = label
        self.scopes = scopes

    __hash__ = object.__hash__  # by its name, as enums do it, it takes as long as the whole decision


OF_PUBLIC_KEYS = frozenset({Action.CREATE_CALL})
"""A public key lies open in somebody's browser: it may announce a call and read nothing."""


OF_THE_HOUSE = frozenset({"operator", "system"})
"""Kinds of principals that no key can have: the operator at the command line, and the program itself."""


class Verdict(Enum):
    ALLOWED = "allowed"
    UNKNOWN = "unknown"
    """Nobody has shown who asks: 401."""
    HIDDEN = "hidden"
    """To this asker the thing does not exist: 404."""
    FORBIDDEN = "forbidden"
    """The asker may know of the thing and may not do this: 403."""


ALLOWED: Final = Verdict.ALLOWED
"""To look up an enum's member costs as much as to decide."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a key lets its bearer be."""

    key_id: str
    workspace_id: str
    member_id: str
    scopes: frozenset[str]
    kind: str = "private"
    """`private` or `public`, as the key is; `operator` and `system` for those of the house."""
    actor: str = field(init=False, compare=False)
    """What audits and logs call it."""
    actions: frozenset[Action] = field(init=False, compare=False, repr=False)
    """What its kind and its scopes allow it in its workspace."""

    def __post_init__(self) -> None:
        of_the_house = self.kind in OF_THE_HOUSE
        of_its_kind = Action if of_the_house or self.kind == "private" else OF_PUBLIC_KEYS
        allowed = [action for action in of_its_kind if of_the_house or not self.scopes.isdisjoint(action.scopes)]
        object.__setattr__(self, "actor", self.kind if of_the_house else f"key:{self.key_id}")
        object.__setattr__(self, "actions", frozenset(allowed))


class Caller(NamedTuple):
    """Who asks, from where, in which request: what every use case is told for its audit."""

    principal: Principal | None
    address: str | None = None
    request_id: str | None = None
    actor_name: str | None = None
    """For those without a key: `link:<id>`, `public`."""

    @property
    def actor(self) -> str:
        return self.principal.actor if self.principal else self.actor_name or "nobody"


def of_the_house(kind: str) -> Caller:
    """The operator at the command line, or the program at work by itself: both may do everything everywhere."""
    return Caller(Principal(kind, "", kind, frozenset(SCOPES), kind))


OPERATOR = of_the_house("operator")
SYSTEM = of_the_house("system")


class Owned(Protocol):
    """Whose what it is done to is, and the only members it is for, where it is private: a call, a recording."""

    @property
    def workspace_id(self) -> str: ...
    @property
    def readers(self) -> tuple[str, ...] | None: ...


class Thing(NamedTuple):
    """Anything else of a workspace, or the workspace itself."""

    workspace_id: str
    readers: tuple[str, ...] | None = None


def decide(principal: Principal | None, action: Action, thing: Owned) -> Verdict:
    if principal is None:
        return Verdict.UNKNOWN
    if principal.kind in OF_THE_HOUSE:
        return ALLOWED
    if principal.workspace_id != thing.workspace_id:
        return Verdict.HIDDEN
    readers = thing.readers
    if action not in principal.actions or (readers is not None and principal.member_id not in readers):
        return Verdict.FORBIDDEN
    return ALLOWED
