"""Every wait of the product, as one value."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a node waits, in seconds; given to `Backend`, `open_store` and `create_app`.

    What an account or a log is allowed within a time, and how long either is kept, are rules: see `tim.rules`.

    Raises:
        ValueError: a value is negative or not finite, or a lease would end between two renewals.
    """

    # A node and the store

    renewal_period: float = 10.0
    """Longest time until a node learns what no hint has told it. A node renews twice in that time."""
    lease: float = 30.0
    """Time without a renewal after which a node counts as dead and its instances as detached."""
    reconcile_pause: float = 0.05
    """Pause between two batches of streams that look for what they missed; a store that is back has much to do."""
    settings_age: float = 0.5
    """Time for which a node uses the settings of the app that it has read."""
    job_pause: float = 0.25
    """Pause after each step of a job, which bounds how many instances it ends in a second."""
    job_lease: float = 10.0
    """Time after which another node goes on with a job whose node is dead."""
    poll: float = 0.02
    """Pause between two looks at a condition that nothing signals."""
    streams_close: float = 1.0
    """Time that readers have to close their streams when a backend closes."""

    # SQLite

    sqlite_sync: float = 1.0
    """Longest time until a login, and what else does not wait for the disk, is on it."""

    # Redis

    redis_timeout: float = 2.0
    """Time after which a call is given up. Redis does not carry out a call that arrives later."""
    redis_connect: float = 1.0
    """Time that a new connection may take."""
    redis_queue: float = 5.0
    """Time that a call waits while all connections are in use."""
    outbox_age: float = 10.0
    """Age after which another node delivers a message that its own node has not delivered."""
    hints_retry: float = 0.5
    """Pause before a broken subscription is made again."""
    hints_ping: float = 2.0
    """Time between two pings of a subscription; one that answers neither of two is dead."""

    # The webhook

    webhook_timeout: float = 2.0
    """Time for one request, from the name of the host to the last byte of the answer."""
    webhook_lease: float = 10.0
    """Time after which another node sends the events of an account whose sender has died."""
    webhook_look: float = 5.0
    """Time between two looks for events that other nodes have left."""
    webhook_pause: float = 1.0
    """Pause after the first failed attempt; each further one doubles it."""

    # The SDK object

    stream_retry: float = 1.0
    """Pause before a stream that was closed for later is opened again."""

    # Sockets

    ping_period: float = 25.0
    """Time between two pings. A peer that has not answered a ping when the next one is due is gone."""
    write_stall: float = 10.0
    """Time for which a peer may accept nothing of what is written to it."""
    socket_close: float = 2.0
    """Time that a closing socket waits for its peer to close as well."""
    socket_drain: float = 1.0
    """Time for which a closing connection reads what its peer sent before it knew."""
    socket_silence: float = 0.2
    """Time after which a peer that sends nothing has nothing more under way."""
    first_bytes: float = 0.02
    """Time that a worker waits for the first bytes of a new connection; after it, gunicorn waits for them."""
    tls: float = 10.0
    """Time in which the client of an address with TLS has to shake hands."""
    body: float = 30.0
    """Time in which the body of a request has to arrive."""
    server_stop: float = 3.0
    """Time that open streams have to close when the server stops."""

    # The vendor's SDK

    lobby: float = 300.0
    """Time after which a connection without a login is closed. An SDK whose page is still open connects again."""
    missed_hold: float = 3.0
    """Time for which messages are held back for a page that is back and has not said which ones it has."""
    sdk_burst: float = 0.5
    """Time within which an SDK has sent what it sends at once on a new connection, or after a kick."""
    sdk_turn: float = 0.5
    """Time between two looks whether the peer of a delayed request has left."""
    sdk_next: float = 1e-6
    """Pause between two requests of one connection. After a `sleep(0)` those greenlets run that could already run, this
    one again among them; after any longer pause the event loop has looked for what has arrived on other connections."""
    sdk_timer: float = 0.002
    """Least delay of the answer to a logout: the SDK sets a timer of 1 ms when a login or its lists are answered. Where
    a page logs out and in again before it has run, the new login's notice is lost, and the page is never ready."""
    sdk_logout: float = 1.0
    """Longest delay of that answer; between the two, the slower the page has asked for its lists, the longer."""
    hello_interval: int = 10
    """Time between two hellos of an SDK. While the server is away, a failed hello makes the SDK try again; while many
    messages are under way, a hello reports an expired UserSig. Each hello takes the place of a ping."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of seconds, 0 or more, not {value!r}")
        if self.lease <= self.renewal_period:
            raise ValueError(f"lease ({self.lease} s) must be longer than renewal_period ({self.renewal_period} s)")

        if self.webhook_lease <= self.webhook_timeout:
            raise ValueError(f"webhook_lease ({self.webhook_lease} s) must be longer than webhook_timeout")

    @property
    def page_silence(self) -> float:
        """Time without a frame after which a page takes its connection for dead."""
        return 2 * self.ping_period


DEFAULT: Final = Timing()
"""What the product runs with."""

DETACH_GRACE: Final = 60.0
"""Seconds a detached instance keeps its seat, as the vendor documents for a lost web network; the default."""
