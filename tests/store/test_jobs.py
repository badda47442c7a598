"""The job of an app, on every store: one at a time, and one node at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from tests.support.actors import APP, Clock
from tim.job import APPLY_LIMIT, FINISHED, KICK, RUNNING, STOPPED, Job
from tim.search import DETACHED, Search
from tim.store.base import Store

ADMIN: Final = "console admin"
LEASE: Final = 10.0
WHERE: Final = Search("al", "203.0.113.7", 'Fire"fox', DETACHED, "node-1", 1_750_000_000.25)
FIRST: Final = Job("job-1", KICK, ADMIN, "spam, “really”", WHERE, total=7)
SECOND: Final = Job("job-2", APPLY_LIMIT, "console viewer", limit=3, total=2)


def taken(store: Store, node: str = "node-1") -> Job:
    job = store.take_job(APP, node, LEASE)
    assert job is not None
    return job


def test_an_app_has_no_job_at_first(store: Store) -> None:
    assert store.job(APP) is None
    assert store.take_job(APP, "node-1", LEASE) is None
    assert store.stop_job(APP, "job-1", ADMIN) is None


def test_a_job_is_kept_as_it_was_started(store: Store, clock: Clock) -> None:
    started = store.start_job(APP, replace(FIRST, ended=5, after="x", state=FINISHED))
    assert started == replace(FIRST, started_at=clock())
    assert store.job(APP) == started
    assert taken(store) == started
    assert store.job(APP + 1) is None


def test_one_runs_at_a_time_and_to_start_it_again_changes_nothing(store: Store, clock: Clock) -> None:
    started = store.start_job(APP, FIRST)
    clock.advance(1)
    assert store.start_job(APP, SECOND) == started
    assert store.start_job(APP, FIRST) == started
    assert store.start_job(APP + 1, SECOND).id == SECOND.id


@pytest.mark.parametrize("state", [FINISHED, STOPPED])
def test_the_next_one_starts_when_it_is_over(store: Store, clock: Clock, state: str) -> None:
    store.start_job(APP, FIRST)
    job = taken(store)
    clock.advance(1)
    if state == FINISHED:
        over = store.save_job(APP, replace(job, ended=7, after="", state=FINISHED), "node-1", LEASE)
        assert over == replace(job, ended=7, state=FINISHED, closed_at=clock())
    else:
        over = store.stop_job(APP, job.id, "console admin")
        assert over == replace(job, state=STOPPED, closed_at=clock(), stopped_by=ADMIN)
    assert store.job(APP) == over
    assert store.take_job(APP, "node-1", LEASE) is None
    assert store.start_job(APP, FIRST) == over, "the same one does not start again"
    assert store.start_job(APP, SECOND) == replace(SECOND, started_at=clock())
    assert store.take_job(APP, "node-2", LEASE) == store.job(APP), "nothing is left of the lease before"


def test_one_node_has_it_until_its_lease_ends(store: Store, clock: Clock) -> None:
    store.start_job(APP, FIRST)
    job = taken(store)
    for _ in range(3):
        clock.advance(LEASE - 1)
        assert store.take_job(APP, "node-2", LEASE) is None
        job = replace(job, ended=job.ended + 1, after=f"alice {job.ended}")
        assert store.save_job(APP, job, "node-1", LEASE) == job, "which extends the lease"
    clock.advance(LEASE)
    assert taken(store, "node-2") == job, "it goes on where the other one was"
    assert store.save_job(APP, replace(job, ended=9), "node-1", LEASE) is None
    assert store.take_job(APP, "node-1", LEASE) is None
    assert store.job(APP) == job


def test_a_lease_lasts_no_longer_where_the_clock_was_set_back(store: Store, clock: Clock) -> None:
    store.start_job(APP, FIRST)
    job = taken(store)
    clock.advance(-3600)
    assert taken(store, "node-2") == job


def test_who_runs_it_learns_that_it_was_stopped(store: Store) -> None:
    store.start_job(APP, FIRST)
    job = taken(store)
    stopped = store.stop_job(APP, job.id, ADMIN)
    assert store.save_job(APP, replace(job, ended=3), "node-1", LEASE) is None
    assert store.job(APP) == stopped
    assert store.stop_job(APP, job.id, "console viewer") == stopped


def test_to_stop_one_that_is_over_does_not_stop_the_next(store: Store) -> None:
    store.start_job(APP, FIRST)
    store.stop_job(APP, FIRST.id, ADMIN)
    store.start_job(APP, SECOND)
    running = store.stop_job(APP, FIRST.id, ADMIN)
    assert running is not None
    assert (running.id, running.state) == (SECOND.id, RUNNING)
