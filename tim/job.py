"""A job: the end of many instances, at a bounded rate, by whichever node has the lease of it. All are values."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Final

from tim.search import Search

KICK: Final = "kick"
"""End the instances that a search finds and that logged in before the job began."""
APPLY_LIMIT: Final = "apply-limit"
"""End the instances that accounts have beyond a limit, in the order of `rules.leaving`."""

RUNNING: Final = "running"
STOPPED: Final = "stopped"
FINISHED: Final = "finished"

SHOWN: Final = 3600
"""Seconds for which operators are shown a job that is over."""

STEP: Final = 50
"""Instances that a job ends, at most, before each pause."""


@dataclass(frozen=True, slots=True)
class Job:
    """What an operator has started.

    Attributes:
        kind: KICK or APPLY_LIMIT.
        actor: who has started it, as the audit has it.
        words: the reason for the users to read; "" for none.
        where: which instances to kick.
        limit: how many instances an account may keep.
        total: how many instances were to end when it was started.
        started_at: unix seconds, by the store.
        ended: how many it has ended so far. A node that died has not counted its last step.
        after: the place in the list up to which it is done.
        state: RUNNING, STOPPED or FINISHED.
        closed_at: unix seconds at which it was stopped or finished; 0 before.
        stopped_by: who has stopped it; "" where nobody has.
    """

    id: str
    kind: str
    actor: str
    words: str = ""
    where: Search = field(default_factory=Search)
    limit: int = 0
    total: int = 0
    started_at: float = 0
    ended: int = 0
    after: str = ""
    state: str = RUNNING
    closed_at: float = 0
    stopped_by: str = ""

    def is_shown(self, now: float) -> bool:
        """Return whether operators are shown it at `now`, in unix seconds: while it runs, and for SHOWN after it."""
        return self.state == RUNNING or now - self.closed_at < SHOWN


@dataclass(frozen=True, slots=True)
class Surplus:
    """The instances that accounts have beyond a limit.

    Attributes:
        instances: how many have to leave.
        accounts: how many accounts have too many.
        first: the first of these accounts by name.
    """

    instances: int
    accounts: int
    first: list[str]


@dataclass(frozen=True, slots=True)
class Crowded:
    """Some of the accounts that have more instances than a limit.

    Attributes:
        accounts: each with the number of its live instances.
        next: the place to go on from; "" after the last account.
    """

    accounts: list[tuple[str, int]]
    next: str


def search_as_text(where: Search) -> str:
    """Return the search as JSON."""
    return json.dumps({name: value for name, value in asdict(where).items() if value not in ("", None)})


def search_of_text(text: str) -> Search:
    """Return the search that `search_as_text` has written."""
    return Search(**json.loads(text))


def summary(job: Job) -> str:
    """Return what the job is, for the audit."""
    instances = f"{job.total} instance{'s' if job.total != 1 else ''}"
    if job.kind == APPLY_LIMIT:
        return f"apply the limit of {job.limit}: {instances}"
    reason = f": {job.words}" if job.words else ""
    return f"kick {instances}, {search_as_text(job.where)}{reason}"
