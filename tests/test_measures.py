"""What a node counts and times: into which bucket, how it reaches the counts of all nodes, and that nothing is lost."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.support.actors import APP, KEY, Clock
from tests.support.engines import PATIENT
from tests.support.inside import store_of
from tests.support.redis_server import RedisServer
from tim import TYPES, Backend
from tim.ends import Client, Gone
from tim.errors import StoreUnavailable
from tim.measures import BOUNDS, KICK, ONLINE, STORE, STORE_FAILED, UNDELIVERED, Measures, histogram, histograms
from tim.store.base import Store

EVICTED = TYPES.KICKED_OUT_MULT_ACCOUNT


def test_a_duration_falls_into_the_first_bucket_that_is_no_shorter(store: Store) -> None:
    measures = Measures(APP)
    for seconds in (-1, 0, 0.005, 0.0051, 0.2, 3, 1000):
        measures.observe(KICK, EVICTED, seconds)
    measures.flush(store)
    [(code, found)] = histograms(store.counters(APP), KICK).items()
    assert code == EVICTED
    assert list(found.buckets) == list(BOUNDS)
    assert [found.buckets[bound] for bound in (0.005, 0.01, 0.25, 2.5, 5.0, 10.0, math.inf)] == [3, 4, 5, 5, 6, 6, 7]
    assert found.total == pytest.approx(0.0101 + 0.2 + 3 + 1000)
    assert (found.quantile(0.5), found.quantile(0.99)) == (0.01, math.inf)


def test_a_kick_without_the_browsers_answer_is_undelivered(store: Store, clock: Clock) -> None:
    measures = Measures(APP)
    gone = Gone(EVICTED, clock() - 0.3)
    measures.kick(gone, clock(), acknowledged=True)
    measures.kick(gone, clock(), acknowledged=False)
    measures.flush(store)
    counts = store.counters(APP)
    assert counts[f"{UNDELIVERED}:{EVICTED}"] == 1
    assert histograms(counts, KICK)[EVICTED].buckets[0.5] == 1


def test_counts_of_two_nodes_add_up_and_each_is_added_once(store: Store) -> None:
    nodes = [Measures(APP), Measures(APP)]
    for node in nodes:
        node.count(UNDELIVERED, EVICTED)
        node.flush(store)
        node.flush(store)
    assert store.counters(APP) == {f"{UNDELIVERED}:{EVICTED}": 2}
    assert store.counters(APP + 1) == {}


def test_counts_wait_while_the_store_is_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    measures = Measures(APP)
    measures.count(UNDELIVERED, EVICTED)
    with monkeypatch.context() as away:

        def unavailable(*_: object) -> None:
            measures.count(UNDELIVERED, EVICTED)  # which happens meanwhile
            raise StoreUnavailable("it is away")

        away.setattr(store, "count", unavailable)
        measures.flush(store)
    measures.flush(store)
    assert store.counters(APP) == {f"{UNDELIVERED}:{EVICTED}": 2}


def test_each_call_of_the_store_is_timed_under_its_verb_and_a_failure_is_counted(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.login(APP, "alice", backend.user_sig("alice"), Client("Firefox", "203.0.113.7"))
    before = backend.status().counts
    for _ in range(3):
        backend.instances("alice")
    with monkeypatch.context() as away:

        def unavailable(*_: object) -> None:
            raise StoreUnavailable("it is away")

        away.setattr(store_of(backend), "instances", unavailable)
        with pytest.raises(StoreUnavailable):
            backend.instances("alice")
    after = backend.status().counts

    def times(counts: dict[str, int], verb: str) -> int:
        found = histograms(counts, STORE).get(verb)
        return 0 if found is None else found.buckets[math.inf]

    assert times(after, "instances") - times(before, "instances") == 4
    assert (times(before, "admit"), times(after, "admit")) == (1, 1)
    assert after[f"{STORE_FAILED}:instances"] == 1
    assert not {"now", "listen", "close"} & histograms(after, STORE).keys()


def test_a_status_is_that_of_all_nodes(settled: Callable[[str], Backend], servers: object) -> None:
    here, there = (settled(servers.url) for _ in range(2))  # type: ignore[attr-defined]
    tabs = [here.login(APP, "alice", here.user_sig("alice"), Client("Firefox", "203.0.113.7")) for _ in range(2)]
    _, stream = there.attach(tabs[0].id, lambda: None)
    there.measures.count(UNDELIVERED, EVICTED)
    there.status()
    found = here.status()
    assert found.online == {store_of(there).get(tabs[0].id).node: 1}
    assert found.detached == 1
    assert (found.counts["login:"], found.counts[f"{UNDELIVERED}:{EVICTED}"]) == (2, 1)
    there.detach(stream)


def test_a_sample_is_taken_once_a_minute_and_adds_up_over_the_nodes(store: Store, clock: Clock) -> None:
    begin = clock.now = clock() // 60 * 60
    here, there = Measures(APP), Measures(APP)
    for second in (0, 30, 59, 60):
        clock.now = begin + second
        for measures, value in ((here, 3), (there, 4)):
            measures.sample(ONLINE, lambda value=value: value + second, clock())  # type: ignore[misc]  # noqa: B023
            measures.flush(store)
    found = store.minutes(APP, begin)
    assert [found[int(begin) + 60 * n][f"{ONLINE}:"] for n in range(2)] == [7, 127]


def test_histograms_of_all_codes_are_one(store: Store) -> None:
    measures = Measures(APP)
    measures.observe(KICK, EVICTED, 0.004)
    measures.observe(KICK, TYPES.KICKED_OUT_REST_API, 0.2)
    measures.observe(STORE, "admit", 9)
    measures.flush(store)
    whole = histogram(store.counters(APP), KICK)
    assert (whole.quantile(0.5), whole.quantile(0.99)) == (0.005, 0.25)
    assert whole.total == pytest.approx(0.204)
    assert histogram({}, KICK).quantile(0.5) is None


def test_a_redis_that_is_full_still_tells_its_numbers(make_redis: Callable[..., RedisServer]) -> None:
    redis = make_redis()
    backend = Backend(redis.url, sdk_app_id=APP, secret_key=KEY, timing=PATIENT)
    backend.login(APP, "alice", backend.user_sig("alice"), Client("Firefox", "203.0.113.7"))
    with redis.client() as client:
        client.config_set("maxmemory", 1)
        backend.measures.count(UNDELIVERED, EVICTED)
        found = backend.status()
        assert (found.detached, found.counts["login:"]) == (1, 1)
        client.config_set("maxmemory", 0)
    assert backend.status().counts[f"{UNDELIVERED}:{EVICTED}"] == 1
    backend.close()
