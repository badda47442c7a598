"""Many instances end at a bounded rate, and to the end, whichever node is killed meanwhile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.support.actors import APP, DAY, GRACE, Clock, new_id
from tests.support.engines import PATIENT
from tests.support.inside import store_of
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tim import TYPES, Backend, Client, Instance
from tim.job import APPLY_LIMIT, FINISHED, KICK, RUNNING, SHOWN, STEP, STOPPED, Job
from tim.mailbox import Stream
from tim.rules import instance_id, leaving
from tim.search import Search
from tim.store.base import Store
from tim.store.redis.engine import RedisStore

ROOT: Final = Path(__file__).parents[1]
ADMIN: Final = "console admin"
AT_ONCE: Final = replace(PATIENT, job_pause=0)
SLOW: Final = replace(PATIENT, job_pause=1e6)
"""A job takes its first step and no other."""


def enters(store: Store, user: str, now: float, browser: str = "Firefox") -> Instance:
    asked = Instance(instance_id(APP, user, new_id()), APP, user, Client(browser, "203.0.113.7"), 0, now + DAY)
    return store.admit(asked, 1000)[0]


def becomes(backend: Backend, state: str) -> Job:
    """The newest job, once it is in this state."""

    def newest() -> Job:
        job = backend.jobs.newest()
        assert job is not None
        return job

    until(lambda: newest().state == state, lambda: f"it is {newest()}")
    return newest()


def live(backend: Backend) -> set[str]:
    return {each.id for each in backend.listing.search(Search(), limit=10_000).instances}


def test_a_job_kicks_those_that_match(make_backend: Callable[..., Backend], address: str, clock: Clock) -> None:
    backend = make_backend(address, timing=AT_ONCE)
    store = store_of(backend)
    users = [f"user-{n}" for n in range(2 * STEP + 3)]
    match = {enters(store, user, clock()).id for user in users}
    others = {enters(store, user, clock(), "Chrome").id for user in users[:5]}
    where = Search("user-", browser="fire")
    started = backend.jobs.kick(where, "", ADMIN, backend.listing.number(where))
    assert (started.kind, started.where, started.total, started.actor) == (KICK, where, len(match), ADMIN)
    assert becomes(backend, FINISHED).ended == len(match)
    assert live(backend) == others
    for id in match:
        gone = backend.find(id).gone
        assert gone is not None
        assert gone.reason == TYPES.KICKED_OUT_REST_API


def test_a_job_ends_what_accounts_have_beyond_a_limit(
    make_backend: Callable[..., Backend],
    address: str,
    clock: Clock,
    open_stream: Callable[[Backend, Instance], Stream],
) -> None:
    backend = make_backend(address, timing=AT_ONCE)
    store = store_of(backend)
    stay: set[str] = set()
    for n in range(30):
        tabs = [enters(store, f"user-{n:02d}", clock()) for _ in range(n % 4 + 1)]
        if n % 3:
            open_stream(backend, tabs[0])
        out = {each.id for each in leaving(store.instances(APP, f"user-{n:02d}"), 3)}
        stay |= {tab.id for tab in tabs} - out
    surplus = backend.listing.surplus(2, names=3)
    assert (surplus.instances, surplus.accounts) == (7 * 1 + 7 * 2, 14)
    assert surplus.first == ["user-02", "user-03", "user-06"]
    started = backend.jobs.apply_limit(2, ADMIN, surplus.instances)
    assert (started.kind, started.limit) == (APPLY_LIMIT, 2)
    assert becomes(backend, FINISHED).ended == surplus.instances
    assert live(backend) == stay
    assert backend.listing.surplus(2).accounts == 0


def test_a_job_ends_so_many_before_each_pause_and_can_be_stopped(
    make_backend: Callable[..., Backend], clock: Clock
) -> None:
    backend = make_backend(timing=SLOW)
    for n in range(STEP + 20):
        enters(store_of(backend), f"user-{n:03d}", clock())
    job = backend.jobs.kick(Search(), "", ADMIN, STEP + 20)
    until(lambda: (backend.jobs.newest() or job).ended == STEP, "no step was taken")
    assert len(live(backend)) == 20
    stopped = backend.jobs.stop(job.id, "another admin")
    assert stopped == becomes(backend, STOPPED)
    assert (stopped.ended, stopped.stopped_by) == (STEP, "another admin")
    assert len(live(backend)) == 20


def test_a_restarted_server_goes_on_and_spares_who_came_after_the_start(
    make_backend: Callable[..., Backend], tmp_path: Path, clock: Clock
) -> None:
    url = f"sqlite:///{tmp_path}/tim.db"
    with closing(Backend(url, sdk_app_id=APP, detach_grace=GRACE, clock=clock, timing=SLOW)) as before:
        for n in range(STEP + 20):
            enters(store_of(before), f"user-{n:03d}", clock())
        job = before.jobs.kick(Search(), "", ADMIN, STEP + 20)
        until(lambda: (before.jobs.newest() or job).ended == STEP, "no step was taken")
    clock.advance(SLOW.job_lease)
    after = make_backend(url, timing=AT_ONCE)
    later = enters(store_of(after), "user-999", clock())
    assert becomes(after, FINISHED).ended == STEP + 20
    assert live(after) == {later.id}


NODE = """
import sys, time
from tim import Backend
from tim.timing import Timing

timing = Timing(renewal_period=1, job_pause=0.3, job_lease=1)
backend = Backend(sys.argv[1], sdk_app_id=1400000000, secret_key="key", timing=timing)
print(vars(backend)["_node"].name, flush=True)
time.sleep(600)
"""


@contextmanager
def nodes(url: str, number: int) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """So many processes that may run the job, by the name of their node."""
    with ExitStack() as stack:
        found: dict[str, subprocess.Popen[str]] = {}
        for _ in range(number):
            process = subprocess.Popen([sys.executable, "-c", NODE, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            found[process.stdout.readline().strip()] = process
        yield found


def test_another_node_goes_on_when_the_one_that_runs_it_is_killed(make_redis: Callable[..., RedisServer]) -> None:
    server, many = make_redis(), 8 * STEP
    with closing(RedisStore(server.url, grace=GRACE)) as store, nodes(server.url, 3) as running:
        tabs = [enters(store, f"user-{n % (many // 2)}", store.now()).id for n in range(many)]
        store.start_job(APP, Job("job-1", KICK, ADMIN, where=Search("user-"), total=many))

        def job() -> Job:
            found = store.job(APP)
            assert found is not None
            return found

        ended = 0
        for _ in range(2):
            until(lambda: job().ended > ended, lambda: f"it stands still: {job()}")  # noqa: B023 - called at once
            running.pop(runner(server)).kill()
            ended = job().ended
            assert job().state == RUNNING, "there was something left to do"
        until(lambda: job().state == FINISHED, lambda: f"it is {job()}")
        assert store.number(APP, Search()) == 0
        assert {(gone := store.get(id).gone) and gone.reason for id in tabs} == {TYPES.KICKED_OUT_REST_API}
        assert many - 2 * STEP <= job().ended <= many, "the two that died have not counted their last steps"


def runner(server: RedisServer) -> str:
    """The node that has the lease of the job."""
    [key] = server.keys("*:job:*")
    with server.client() as redis:
        return str(redis.hget(key, "node"))


def test_operators_are_shown_a_job_while_it_runs_and_for_an_hour_after_it() -> None:
    running = Job("1", KICK, "console admin", started_at=1000)
    over = replace(running, state=FINISHED, closed_at=2000)
    assert running.is_shown(2000 + 9 * SHOWN)
    assert over.is_shown(2000 + SHOWN - 1)
    assert not over.is_shown(2000 + SHOWN)
