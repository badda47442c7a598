"""The values of the service: instances, messages, what a tab shows of both, and the settings of an app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tim.ends import IDLE, LIFE, UNKNOWN, USERSIG, Client, Gone

DEMO_APP: Final = 1400000000
"""SDKAppID of the demo app, the default."""
TAB: Final = "tab"
"""Kind of an instance: one of our pages, or a script."""
SDK_PAGE: Final = "sdk"
"""Kind of an instance: a page that runs the vendor's SDK."""
MESSAGES_A_MINUTE: Final = 100
"""Messages that one instance may send in a minute, until an app's settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an app allows.

    Attributes:
        online_web_instances: of one account at a time, 1 to MAX_INSTANCES.
        failures_per_account: UserSigs of one account that may fail in a minute; the next failure starts a pause.
        failures_per_address: the same for all accounts from one address.
        messages_a_minute: that one instance may send within any `rules.MINUTE`.
    """

    online_web_instances: int = 1
    failures_per_account: int = 20
    failures_per_address: int = 100
    messages_a_minute: int = MESSAGES_A_MINUTE


@dataclass(frozen=True, slots=True)
class Block:
    """The block of an account: it cannot log in.

    Attributes:
        until: unix seconds of its end; None where it has none.
        words: the operator's reason, for the user to read; "" where none was given.
        at: unix seconds.
        by: what has blocked it, as the audit names it.
    """

    until: float | None
    words: str
    at: float
    by: str


@dataclass(frozen=True, slots=True)
class Account:
    """What an operator is shown of an account.

    Attributes:
        exists: whether it has logged in or was imported.
        block: the one that holds now; None where the account is not blocked.
        revoked_before: unix seconds: its UserSigs that were made earlier are revoked. 0 where none is.
    """

    user: str
    exists: bool
    block: Block | None
    revoked_before: int


@dataclass(frozen=True, slots=True)
class AppSettings:
    """The settings of an app that operators change while it runs.

    Attributes:
        policy: what happens to a login at the limit, one of `rules.POLICIES`.
        not_me: whether the account of an evicted tab can say that the login which displaced it was not its own.
        help_text: tells an account that has said so how to get a new UserSig; empty for a general text.
        help_url: a link beside it; empty for none.
        session_life: seconds after its login at which an instance ends; 0 for never.
        idle_life: seconds without an action of its own after which an instance ends; 0 for never.
        webhook_url: where events are sent; empty for none.
        webhook_token: signs what is sent there.
        version: increases by 1 each time that settings are saved; 0 until then.
        saved_at: unix seconds.
        saved_by: what saved them, as the audit names it.
    """

    limits: Limits = Limits()
    policy: str = "evict"
    not_me: bool = True
    help_text: str = ""
    help_url: str = ""
    session_life: int = 0
    idle_life: int = 0
    webhook_url: str = ""
    webhook_token: str = field(default="", repr=False)
    version: int = 0
    saved_at: float = 0.0
    saved_by: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One logged-in SDK of one account.

    Attributes:
        id: 128 random bits as 32 hex digits, and two more digits for the shard of its account. It identifies the
            instance and grants no access.
        since: unix seconds of its login.
        expires: unix seconds; the end of its UserSig.
        generation: increases with every admission of its account; the order of eviction.
        stream: the number of its newest stream; increases with every attach, 0 before the first.
        detached_at: unix seconds at which its stream closed; None while the stream is open.
        node: the name of the node that has its stream open; "" for none. Once it has ended: the node that has not
            closed the stream yet.
        gone: how it ended; None while it is logged in.
        ordinal: increases with every login of its account; unlike `generation`, it stays when an AWAY instance returns.
        kind: TAB or SDK_PAGE.
        name: as its account has named it; empty until then.
        vouched: the ordinal of the oldest instance that has said "it was me" of this login; 0 for none. Those that are
            older than that one still take it for a stranger's.
        disowned: whether its account has said "that wasn't me" of the login that evicted it.
        lasts_until: unix seconds at which it ends by the app's `session_life`; 0 for never.
        idle_life: the app's, when it logged in; 0 for none.
        active_at: unix seconds of its last action: a login, a stream that its page opens, a message, a change of names
            or seats. Without an `idle_life` it stays that of its login.
    """

    id: str
    app: int
    user: str
    client: Client
    since: float
    expires: float
    generation: int = 0
    stream: int = 0
    detached_at: float | None = None
    gone: Gone | None = None
    node: str = ""
    ordinal: int = 0
    kind: str = TAB
    name: str = ""
    vouched: int = 0
    disowned: bool = False
    lasts_until: float = 0
    idle_life: int = 0
    active_at: float = 0

    @property
    def online(self) -> bool:
        """Whether it is logged in and its stream is open."""
        return self.gone is None and self.detached_at is None

    @property
    def ends_at(self) -> float:
        """Unix seconds at which it ends as expired, if it does nothing until then."""
        return min(self._lives())[0]

    @property
    def expiry_cause(self) -> str:
        """What ends it at `ends_at`: USERSIG, LIFE or IDLE. USERSIG also where it was ended as expired before."""
        at, _, cause = min(self._lives())
        return USERSIG if self.gone is not None and self.gone.at < at else cause

    def _lives(self) -> list[tuple[float, int, str]]:
        """The end of each life that it has, in unix seconds; of two at the same time, the first counts."""
        lives = [(self.expires, 0, USERSIG)]
        if self.lasts_until:
            lives.append((self.lasts_until, 1, LIFE))
        if self.idle_life:
            lives.append((self.active_at + self.idle_life, 2, IDLE))
        return lives


@dataclass(frozen=True, slots=True)
class Disowned:
    """What "that wasn't me" has done.

    Attributes:
        left: seconds until new UserSigs are accepted; the caller must wait them before replying.
        ended: the instances that it has ended, in the order of their logins.
        again: whether it was said before, by it or by another since, of all that it could end; nothing has changed.
    """

    left: float
    ended: list[Instance]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """Which instances a login at the limit ends, chosen from a list that was shown.

    Attributes:
        seen: ids of the live instances in the list, oldest generation first.
        ending: ids of those to end.
    """

    seen: tuple[str, ...]
    ending: frozenset[str]


@dataclass(frozen=True, slots=True)
class Message:
    """One text from one account to another: the copy in the log of one of the two.

    Attributes:
        seq: its number in that log: 1, 2, 3, … without gaps.
        time: unix seconds.
        instance: the id of the instance that sent it.
    """

    seq: int
    id: str
    sender: str
    to: str
    text: str
    time: float
    instance: str


@dataclass(frozen=True, slots=True)
class View:
    """What a tab shows of its account at one moment.

    Attributes:
        instance: the instance of the tab.
        instances: the live instances of its account, oldest generation first.
        newest: number of the newest message in the account's log; 0 before the first.
        read_seq: number of the newest message that the account has read.
        messages: of the log, as many as the caller requests, oldest first.
        returned: whether the instance was AWAY until its stream was opened.
    """

    instance: Instance
    instances: list[Instance]
    newest: int
    read_seq: int
    messages: list[Message]
    returned: bool = False


def unknown_instance(id: str, at: float) -> Instance:
    """Return what stands for an id that the store does not know: an instance without an account, ended at `at`."""
    return Instance(id, 0, "", Client("", ""), 0, 0, gone=Gone(UNKNOWN, at))
