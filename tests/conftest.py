"""Fixtures for the core: a clock, a backend, its people, and each store under test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from tests.support.actors import APP, GRACE, KEY, Clock, Person
from tests.support.engines import ENGINES, MORTAL, ONE_OF_EACH_KIND, PATIENT, Engine, on_redis
from tests.support.inside import hub_of, node_of, store_of
from tests.support.redis_line import RedisLine
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.waiting import until
from tim import Backend, Instance
from tim.mailbox import Stream
from tim.node import Node
from tim.store.base import Store
from tim.store.redis.engine import RedisStore
from tim.timing import DEFAULT, Timing

ON_ALL_ENGINES: Final = "contract"
"""The folder whose tests run on a SQLite file and on a single Redis too, whatever the number of rounds."""
FIRST: Final = "tencent"
"""The folder whose tests take longest: up to half a minute, for which the SDKs of the vendor wait by themselves."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="run only tests that need nothing but Python: no Redis, browser, npm, nginx or network. To stay under a "
        "minute, also leave out tests that start a server or command of their own or wait for seconds, run tests of "
        "every engine in memory alone, and try a quarter of the examples",
    )
    parser.addoption(
        "--rounds",
        type=int,
        default=int(os.environ.get("TIM_LONG", "1")),
        help="how many times as many examples the properties and races are tried with; default TIM_LONG, or 1",
    )


def pytest_configure(config: pytest.Config) -> None:
    # No deadline for one example: a busy machine is no failure.
    rounds: int = config.getoption("--rounds")
    examples = 15 if config.getoption("--quick") else 40
    settings.register_profile("tim", max_examples=examples * rounds, deadline=None, database=None)
    settings.load_profile("tim")
    if config.getoption("--quick"):
        # A quick test that starts another program fails, also where that program is installed.
        os.environ["PATH"] = str(Path(sys.executable).parent)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        _keep(_is_quick, config, items)
    elif config.getoption("--rounds") == 1:
        _keep(_is_usual, config, items)
    # Each process begins with its share of the order, and the ends of the shares come last. There a long test would
    # run while the other processes have nothing left to do.
    items.sort(key=lambda item: item.path.parent.name != FIRST)


def _keep(is_kept: Callable[[pytest.Item], bool], config: pytest.Config, items: list[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=[item for item in items if not is_kept(item)])
    items[:] = [item for item in items if is_kept(item)]


def _is_usual(item: pytest.Item) -> bool:
    """Whether a test of a store is on one engine of each kind, or in the folder that tries all four.

    A file and a single Redis run the same statements and scripts as the others; more rounds try every test on them, and
    every verb on a single Redis where it is tried on a cluster.
    """
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if "verb" in parameters and parameters.get("servers") == "redis":
        return False
    here = [one for one in parameters.values() if isinstance(one, Engine)]
    return item.path.parent.name == ON_ALL_ENGINES or all(one in ONE_OF_EACH_KIND for one in here)


def _is_quick(item: pytest.Item) -> bool:
    """Whether neither a fixture of the test, nor one that it depends on, nor its engine needs the whole run.

    Tests of every engine run on the store in memory; those in `tests/store/sqlite` try files too.
    """
    needs = getattr(item, "fixturenames", ())
    return "not_quick" not in needs and all(one is ENGINES[0] for one in _parameters(item) if isinstance(one, Engine))


def _parameters(item: pytest.Item) -> list[object]:
    return list(item.callspec.params.values()) if hasattr(item, "callspec") else []


@pytest.fixture(scope="session")
def not_quick() -> None:
    """Requested by what starts another program or a server of its own, or waits for seconds; `--quick` omits it."""


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How many times as often as usual a race is to be run."""
    number: int = request.config.getoption("--rounds")
    return number


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_backend(clock: Clock) -> Iterator[Callable[..., Backend]]:
    """Backends on the clock, in memory unless told otherwise, closed after the test.

    They renew only when told to, unless `timing` says otherwise: a renewal that comes by itself would hide that a hint
    was lost.
    """
    made: list[Backend] = []

    def make(url: str = "sqlite://", *, limit: int = 1, timing: Timing = PATIENT) -> Backend:
        backend = Backend(
            url,
            sdk_app_id=APP,
            secret_key=KEY,
            online_web_instances=limit,
            detach_grace=GRACE,
            clock=clock,
            timing=timing,
        )
        made.append(backend)
        if isinstance(store := store_of(backend), RedisStore):
            # In earnest a clock is set so seldom that it is time enough to notice it with the next renewal.
            clock.leads(lambda _: store.look_at_clock())
        return backend

    yield make
    for backend in made:
        backend.close()


@pytest.fixture(params=ONE_OF_EACH_KIND, ids=str)
def address(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> str:
    """Where the store of a backend is: of the least and the largest kind. The tests of stores look at the others."""
    engine: Engine = request.param
    return engine.address(tmp_path, clock)


@pytest.fixture
def backend(make_backend: Callable[..., Backend], address: str, request: pytest.FixtureRequest) -> Backend:
    """One tab for each account, as by default; more where the test is marked with `allows`."""
    return make_backend(address, limit=getattr(request, "param", 1))


@pytest.fixture
def person(backend: Backend) -> Iterator[Callable[[str], Person]]:
    """`alice = person("alice")`: somebody who can log in to `backend`; logged out of every tab afterwards."""
    people: list[Person] = []

    def make(user_id: str) -> Person:
        people.append(Person(backend, user_id))
        return people[-1]

    yield make
    for somebody in people:
        somebody.leaves()


@pytest.fixture(params=ENGINES, ids=str)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each kind of store."""
    engine: Engine = request.param
    return engine


@pytest.fixture
def store(engine: Engine, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """Each store there is, empty, on the clock."""
    opened = engine.open(tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture(params=["redis", "redis-cluster"])
def servers(not_quick: None, request: pytest.FixtureRequest, clock: Clock) -> RedisServer | RedisCluster:
    """One redis-server, then a cluster, empty, on the clock. Other tests use them too: who stops one makes his own."""
    kind: str = request.param
    return on_redis(kind, clock)


@pytest.fixture
def open_redis() -> Iterator[Callable[..., RedisStore]]:
    """`open_redis(url, "node-1")`: the store there, as one process has it; that node has joined. Closed afterwards."""
    opened: list[RedisStore] = []

    def open_redis(url: str, *nodes: str, timing: Timing = DEFAULT) -> RedisStore:
        opened.append(RedisStore(url, grace=GRACE, timing=timing))
        for node in nodes:
            opened[-1].join(node)
        return opened[-1]

    yield open_redis
    for store in opened:
        store.close()


@pytest.fixture
def settled(make_backend: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Backend]:
    """`settled(url)`: a backend that allows two tabs; it listens, and renews no more until it is told to."""
    renew, renewed = Node.renew, Counter[Node]()

    def count(node: Node) -> None:
        renew(node)
        renewed[node] += 1

    def settled(url: str, timing: Timing = MORTAL) -> Backend:
        backend = make_backend(url, limit=2, timing=timing)
        until(lambda: renewed[node_of(backend)], "it should look for what it missed before it listened")
        return backend

    monkeypatch.setattr(Node, "renew", count)
    return settled


@pytest.fixture
def open_stream() -> Iterator[Callable[[Backend, Instance], Stream]]:
    """`open_stream(backend, instance)`: attached there; closed after the test."""
    opened: list[tuple[Backend, Stream]] = []

    def open_stream(backend: Backend, instance: Instance) -> Stream:
        _, stream = backend.attach(instance.id, lambda: None)
        opened.append((backend, stream))
        return stream

    yield open_stream
    for backend, stream in opened:
        hub_of(backend).close(stream)


@pytest.fixture
def make_redis(not_quick: None) -> Iterator[Callable[..., RedisServer]]:
    """`make_redis(append_only=True)`: a redis-server of the test's own, running."""
    made: list[RedisServer] = []

    def make(**more: Any) -> RedisServer:
        made.append(RedisServer(**more))
        return made[-1].start()

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def make_redis_cluster(not_quick: None) -> Iterator[Callable[..., RedisCluster]]:
    """`make_redis_cluster(clock=clock)`: a cluster of the test's own, running."""
    made: list[RedisCluster] = []

    def make(**more: Any) -> RedisCluster:
        made.append(RedisCluster(**more))
        return made[-1].start()

    yield make
    for cluster in made:
        cluster.kill()


@pytest.fixture
def make_redis_line() -> Iterator[Callable[[RedisServer], RedisLine]]:
    """A line to a redis-server that can be made to fail."""
    made: list[RedisLine] = []

    def make(server: RedisServer) -> RedisLine:
        made.append(RedisLine(server))
        return made[-1]

    yield make
    for line in made:
        line.close()


@pytest.fixture
def server(make_redis: Callable[..., RedisServer], clock: Clock) -> RedisServer:
    """A redis-server of this test alone, on the clock. In the folders of servers of ours, it is one of those."""
    return make_redis(clock=clock)


@pytest.fixture
def line(server: RedisServer, make_redis_line: Callable[[RedisServer], RedisLine]) -> RedisLine:
    """A line to `server` that can be made to fail."""
    return make_redis_line(server)


@pytest.fixture(scope="session")
def certificate(not_quick: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, and a certificate for localhost that is its own authority."""
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    with open(file, "a") as both:
        both.write(Path(f"{file}.crt").read_text())
    return file
