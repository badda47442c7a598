"""Runs the job of the app, if this node has the lease of it."""

from __future__ import annotations

import logging
import math
import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tim.ends import TYPES, Gone
from tim.errors import StoreUnavailable
from tim.job import APPLY_LIMIT, FINISHED, KICK, RUNNING, STEP, Job
from tim.model import Instance
from tim.node import Node
from tim.rules import MAX_INSTANCES
from tim.search import Search
from tim.store.base import Store
from tim.timing import Timing

ACCOUNTS: Final = STEP // MAX_INSTANCES
"""Accounts that a step takes, as each may have so many instances."""

log = logging.getLogger("tim")


class Jobs:
    """The jobs of one app: one at a time, whichever node they were started at.

    A job runs on the node that has its lease. When that node dies, another one takes the lease and goes on from the
    place that was saved last. What is ended twice is ended once.
    """

    def __init__(self, store: Store, app: int, node: Node, timing: Timing) -> None:
        self._store = store
        self._app = app
        self._node = node
        self._timing = timing
        self._stopped = threading.Event()
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="tim-jobs", daemon=True).start()

    @property
    def rate(self) -> float:
        """How many instances a job ends in a second, at most."""
        return STEP / self._timing.job_pause if self._timing.job_pause else math.inf

    def newest(self) -> Job | None:
        """Return the job that was started last. Raises StoreUnavailable."""
        return self._store.job(self._app)

    def kick(self, where: Search, words: str, actor: str, total: int) -> Job:
        """Start to end the instances that match, `total` by the caller's count. Revokes no UserSig.

        Returns the job that runs now: another one where it had not finished. Raises StoreUnavailable.
        """
        return self._start(Job(secrets.token_hex(8), KICK, actor, words, where, total=total))

    def apply_limit(self, limit: int, actor: str, total: int) -> Job:
        """Start to end what accounts have beyond `limit` instances; see `kick`."""
        return self._start(Job(secrets.token_hex(8), APPLY_LIMIT, actor, limit=limit, total=total))

    def stop(self, id: str, actor: str) -> Job | None:
        """Stop the job, if it is the newest and runs. What it has ended stays ended. Returns the newest job."""
        return self._store.stop_job(self._app, id, actor)

    def close(self) -> None:
        """Run no more jobs on this node."""
        self._stopped.set()
        self._wake.set()

    def _start(self, job: Job) -> Job:
        started = self._store.start_job(self._app, job)
        self._wake.set()
        return started

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                job = self._store.take_job(self._app, self._node.name, self._timing.job_lease)
                while job is not None and job.state == RUNNING and not self._stopped.is_set():
                    job = self._store.save_job(self._app, self._step(job), self._node.name, self._timing.job_lease)
                    self._stopped.wait(self._timing.job_pause)
            except StoreUnavailable:
                pass  # its lease ends, or this node goes on with it
            except Exception:
                if not self._stopped.is_set():
                    log.exception("job failed")
            self._wake.wait(self._timing.renewal_period / 2)
            self._wake.clear()

    def _step(self, job: Job) -> Job:
        """End at most STEP instances. Returns the job as it is then."""
        if job.kind == KICK:
            page = self._store.search(self._app, job.where, job.after, STEP)
            after, ended = page.next, list(self._kicked(job, page.instances))
        elif job.kind == APPLY_LIMIT:
            crowded = self._store.crowded(self._app, job.limit, job.after, ACCOUNTS)
            after = crowded.next
            ended = [
                instance
                for user, _ in crowded.accounts
                for instance in self._store.enforce(self._app, user, job.limit, job.actor)
            ]
        else:
            raise ValueError(f"a job of an unknown kind: {job.kind!r}")
        self._node.notify(self._app, ended=ended)
        return replace(job, ended=job.ended + len(ended), after=after, state=RUNNING if after else FINISHED)

    def _kicked(self, job: Job, found: list[Instance]) -> Iterator[Instance]:
        gone = Gone(TYPES.KICKED_OUT_REST_API, 0, words=job.words)
        for instance in found:
            if instance.since <= job.started_at:
                ended = self._store.remove(instance.id, gone, actor=job.actor)
                if ended is not None:
                    yield ended
