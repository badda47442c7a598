"""The table of keys beside the scripts is true of a real Redis: names, types, and the scripts that write each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.actors import APP, Clock, new_id
from tests.support.redis_server import RedisCluster, RedisServer
from tests.support.verbs import EVERYTHING, World, world
from tim.errors import StoreUnavailable
from tim.store.redis.engine import RedisStore
from tim.store.redis.messages import Messages
from tim.store.redis.scripts import SCRIPTS, Scripts

Servers = RedisServer | RedisCluster
README = Path(__file__).parents[3] / "tim/store/redis/README.md"


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    type: str
    writers: frozenset[str]

    @property
    def pattern(self) -> re.Pattern[str]:
        name = re.sub(r"\\\{\w+\\\}", ".+", re.escape(self.name))
        return re.compile(rf"tim:\{{\d+\}}:{name}")


def rows() -> list[Row]:
    found = re.findall(r"^\| `([^`]+)` \| (\w+) \| .* \| ([^|]+) \| [^|]+ \|$", README.read_text("utf-8"), re.MULTILINE)
    return [Row(name, type, frozenset(re.findall(r"`(\w+)`", writers))) for name, type, writers in found]


ROWS = rows()


def row_of(key: str) -> Row:
    matching = [row for row in ROWS if row.pattern.fullmatch(key)]
    assert len(matching) == 1, f"{key} is described by {[row.name for row in matching]}"
    return matching[0]


@contextmanager
def lost_before_the_second_copy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The second shard does not answer, so the entry of the outbox stays."""

    def unavailable(*_: object, **__: object) -> None:
        raise StoreUnavailable("it is away")

    with monkeypatch.context() as patched:
        patched.setattr(Messages, "_copy", unavailable)
        yield


@pytest.fixture
def further(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[World], object]]:
    """What leaves keys behind that no verb leaves by itself."""

    def append(at: World) -> None:
        monkeypatch.setattr(vars(at.store)["_connection"], "joins_shards", False)
        with lost_before_the_second_copy(monkeypatch):
            at.store.append(APP, at.online.id, "bob", "hello", new_id())

    def deliver(at: World) -> None:
        with lost_before_the_second_copy(monkeypatch):
            at.store.deliver(APP, "alice", "bob", "hello", new_id(), copy=True)

    return {
        "append, cut off": append,
        "deliver, cut off": deliver,
        "attach_again": lambda at: at.store.attach_again(at.online.id, "node-1", 10, at.online.stream),
        "a failure too many": lambda at: at.store.count_failure("account/alice", 0),
    }


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The scripts that have been called."""
    names: set[str] = set()
    for method in ("call", "everywhere", "several"):
        at = 1 if method == "call" else 0
        original = getattr(Scripts, method)

        def note(self: Scripts, *words: object, _at: int = at, _original: object = original, **more: object) -> object:
            names.add(str(words[_at]))
            return _original(self, *words, **more)  # type: ignore[operator]

        monkeypatch.setattr(Scripts, method, note)
    return names


def test_each_writer_is_a_script_or_the_one_verb_without() -> None:
    assert len(ROWS) == len({row.name for row in ROWS})
    for row in ROWS:
        assert row.writers <= SCRIPTS.keys() | {"import_account"}, row.name


@pytest.mark.parametrize("servers", ["redis"], indirect=True)  # a cluster has the same keys
def test_each_key_has_one_row_with_its_type_and_its_writers_and_each_row_has_keys(
    servers: Servers,
    open_redis: Callable[..., RedisStore],
    clock: Clock,
    called: set[str],
    further: dict[str, Callable[[World], object]],
) -> None:
    store = open_redis(servers.url)
    seen: dict[str, set[str]] = defaultdict(set)
    for name, act in (EVERYTHING | further).items():
        at = world(servers, store, clock)
        before = servers.holds()
        called.clear()
        act(at)
        after = servers.holds()
        with servers.client() as client:
            for key in servers.keys("*"):
                row = row_of(key)
                kind = client.type(key)
                seen[row.name].add(kind.decode() if isinstance(kind, bytes) else str(kind))
        for key in {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}:
            assert row_of(key).writers & (called | {name}), f"{name} writes {key} by {called}"
    assert dict(seen) == {row.name: {row.type} for row in ROWS}
