"""The metrics: of all workers together, whichever answers, by Prometheus' conventions, at a bounded cost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.administrator import Administrator
from tests.support.gunicorn import Gunicorn
from tests.support.redis_server import RedisServer
from tests.support.redis_watch import Watch
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.wire import get, log_in, post_login
from tests.web.conftest import MakeServer
from tim.ends import KICKS
from tim.timing import Timing

Samples = dict[str, float]
QUICK = Timing(renewal_period=1, socket_close=0.5)


def samples(server: Server) -> Samples:
    """Each sample by its name with its labels, as Prometheus reads it."""
    answer = get(server, "/metrics")
    assert answer.status == 200
    found: Samples = {}
    for family in text_string_to_metric_families(answer.body):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def of(found: Samples, name: str) -> Samples:
    return {key: value for key, value in found.items() if key.partition("{")[0] == name}


@pytest.fixture
def workers(make_redis: Callable[..., RedisServer], tmp_path: Path) -> Iterator[Gunicorn]:
    """Three workers on one Redis; each may answer any request."""
    server = Gunicorn(tmp_path / "workers", make_redis().port, workers=3, timing=QUICK, ONLINE_WEB_INSTANCES="2")
    try:
        yield server.start()
    finally:
        server.stop()


def test_whichever_worker_answers_it_answers_for_all(workers: Gunicorn) -> None:
    for sig in ("nonsense", "nonsense", ""):
        assert post_login(workers, "alice", sig).status == 401
    tabs = [log_in(workers, "alice") for _ in range(2)]
    streams = [tab.goes_online() for tab in tabs]
    tabs += [log_in(workers, "alice"), log_in(workers, "bob")]
    assert streams[0].is_closed() == 4001
    mute = tabs[3].goes_online()  # whose browser answers nothing any more
    Administrator(workers).kicks("bob")
    assert tabs[1].posts("logout").status == 303
    expected = {
        "tim_logins_total{result=admitted}": 4,
        "tim_logins_total{result=refused}": 3,
        "tim_refused_logins_total{code=70003}": 2,
        "tim_refused_logins_total{code=70002}": 1,
        "tim_ended_instances_total{event=evicted,type=multipleAccount}": 1,
        "tim_ended_instances_total{event=kicked,type=REST_API_Kick}": 1,
        "tim_ended_instances_total{event=logout,type=loggedOut}": 1,
        "tim_kick_latency_seconds_count{type=multipleAccount}": 1,
        "tim_kick_latency_seconds_bucket{le=+Inf,type=multipleAccount}": 1,
        "tim_kick_latency_seconds_bucket{le=10,type=multipleAccount}": 1,
        "tim_undelivered_kicks_total{type=REST_API_Kick}": 1,
        "tim_undelivered_kicks_total{type=multipleAccount}": 0,
        "tim_not_me_total": 0,
        "tim_detached_instances": 1,
        "tim_webhook_queued_events": 0,
    }

    def differing() -> dict[str, float | None]:
        found = samples(workers)
        return {name: found.get(name) for name, value in expected.items() if found.get(name) != value}

    # What a worker has counted since its last renewal it knows alone.
    until(lambda: not any(differing() for _ in range(12)), lambda: f"a worker answers otherwise: {differing()}")
    del mute
    found = samples(workers)
    assert sum(of(found, "tim_store_latency_seconds_count").values()) > 20
    assert found["tim_store_latency_seconds_count{verb=admit}"] == 4


def test_names_and_types_follow_the_conventions_and_nothing_is_missing_at_the_start(server: Server) -> None:
    body = get(server, "/metrics").body
    for family in text_string_to_metric_families(body):
        name = family.name
        assert re.fullmatch(r"tim_[a-z]+(_[a-z]+)*", name)
        assert family.documentation.endswith(".")
        assert (family.type == "counter") == (f"{name}_total" in re.findall(r"# TYPE (\w+)", body)), name
        assert family.type != "histogram" or name.endswith("_seconds")
    found = samples(server)
    for kick in KICKS:  # so that an alert on an increase sees the first one
        assert f"tim_undelivered_kicks_total{{type={kick}}}" in found
        assert f"tim_kick_latency_seconds_count{{type={kick}}}" in found


def test_scrapes_however_many_read_the_store_once_a_second(
    make_redis: Callable[..., RedisServer], make_server: MakeServer
) -> None:
    redis = make_redis()
    server = make_server(STORE=redis.url)
    with Watch(redis) as watch:
        watch.asked()
        for _ in range(20):
            get(server, "/metrics")
        asked = watch.cost().calls
    assert asked["counters"] <= 3 * 64, asked
    server.has_no_traceback()
