"""Real redis-servers for the tests, alone or three in a cluster. A test can set their clock."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Self

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from tests.support.actors import DAY, Clock
from tests.support.ports import free_port
from tests.support.shims import folder, shim
from tests.support.waiting import PATIENCE, until

TEN_YEARS: Final = 3650 * DAY
"""Seconds; more than any test lets pass."""
HOST: Final = "127.0.0.1"
SLOTS: Final = 16384
# The kernel kills a server when the thread that forked it ends, whatever it ends of; this one ends with the process.
_FORKS: Final = ThreadPoolExecutor(1)


class _ShownTime:
    """The file that a server under the shim reads the time from."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(8))
        with open(file, "r+b") as opened:
            # Written as one int64, so that nobody reads half a time.
            self._microseconds = memoryview(mmap.mmap(opened.fileno(), 8)).cast("q")
        self.environment = {"LD_PRELOAD": str(shim("clock")), "TIM_TEST_CLOCK": str(file)}

    def shows(self, now: float) -> None:
        self._microseconds[0] = round(now * 1e6)


class RedisServer:
    """One redis-server on 127.0.0.1 with a folder of its own. It ends with the process of the tests at the latest.

    Args:
        clock: whose time it tells, and lets keys expire by; None for the machine's.
        append_only: it has each write on the disk before it answers.
        config: `maxmemory="2mb"` becomes `--maxmemory 2mb`.
    """

    def __init__(self, *, clock: Clock | None = None, append_only: bool = False, **config: str) -> None:
        self.port = free_port()
        self._home = Path(mkdtemp(dir=folder()))
        self._clock = clock
        self._shown = _ShownTime(self._home / "clock") if clock else None
        if clock:
            clock.leads(self.shows)
        # jemalloc's own thread sleeps until a time of day: where that is shown and past, it never sleeps at all.
        quiet = {"jemalloc_bg_thread": "no"} if clock else {}
        durable = {"appendonly": "yes", "appendfsync": "always"} if append_only else {}
        ours = {"bind": HOST, "port": str(self.port), "save": "", "maxmemory_policy": "noeviction"}
        self._command = ["setpriv", "--pdeathsig", "KILL", "redis-server"]
        for name, value in (ours | quiet | durable | config).items():
            self._command += [f"--{name.replace('_', '-')}", value]
        self._process: subprocess.Popen[bytes] | None = None
        self._admin = redis.Redis(host=HOST, port=self.port, socket_timeout=PATIENCE, retry=Retry(NoBackoff(), 0))

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def client(self) -> redis.Redis:
        """A client of its own, which answers in str."""
        return redis.Redis(host=HOST, port=self.port, decode_responses=True)

    def start(self) -> Self:
        """Start it on its port, and wait until it answers."""
        environment = os.environ | (self._shown.environment if self._shown else {})
        with open(self._home / "log", "ab") as log:
            self._process = _FORKS.submit(
                lambda: subprocess.Popen(
                    self._command, cwd=self._home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            ).result()
        until(lambda: self._has_ended() or self._answers(), "the redis-server does not answer")
        assert not self._has_ended(), (self._home / "log").read_text(errors="replace")
        return self

    def kill(self) -> None:
        """SIGKILL, in whatever state it is."""
        self._require().kill()
        self._require().wait(PATIENCE)

    def stops(self) -> None:
        """SIGTERM, and wait for its end."""
        self._require().terminate()
        self._require().wait(PATIENCE)

    def restarts(self) -> None:
        """It stops, if it has not ended yet, and starts again with what it has on the disk."""
        self.stops()
        self.start()

    def pauses(self) -> None:
        """SIGSTOP: its connections stay, and nothing answers."""
        self._require().send_signal(signal.SIGSTOP)

    def goes_on(self) -> None:
        self._require().send_signal(signal.SIGCONT)

    def holds(self) -> dict[str, tuple[bytes, int]]:
        """Every key with its dumped value, and when it expires, in milliseconds of unix time.

        Without the replies that it keeps for repeated calls: no two calls have the same id.
        """
        keys = [key for key in self._admin.scan_iter(count=1000) if b":reply:" not in key]
        pipe = self._admin.pipeline(transaction=False)
        for key in keys:
            pipe.dump(key)
            pipe.pexpiretime(key)
        answers = pipe.execute()
        return {
            key.decode(): (value, expiry) for key, value, expiry in zip(keys, answers[::2], answers[1::2], strict=True)
        }

    def keys(self, pattern: str) -> set[str]:
        """The keys it has that match."""
        return {key.decode() for key in self._admin.scan_iter(pattern, count=1000)}

    def forgets_everything(self) -> None:
        self._admin.flushall()

    def forgets_scripts(self) -> None:
        self._admin.script_flush()

    def shows(self, now: float) -> None:
        """Set its clock, in unix seconds, to the microsecond."""
        assert self._shown is not None, "it was not given a clock"
        self._shown.shows(now)

    def follows(self, clock: Clock) -> None:
        """Follow this clock instead of the one before."""
        if self._clock:
            self._clock.leaves(self.shows)
        self._clock = clock
        clock.leads(self.shows)

    def loses_its_disk(self) -> None:
        """It cannot save any more, and refuses each write for it where it was given times to save at."""
        (self._home / "dump.rdb").mkdir()

        def has_failed() -> bool:
            with suppress(redis.ResponseError):  # it is just saving, for a replica
                self._admin.bgsave()
            return bool(self._admin.info("persistence")["rdb_last_bgsave_status"] == "err")

        until(has_failed, "it should have failed")

    def _require(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "start it first"
        return self._process

    def _has_ended(self) -> bool:
        return self._require().poll() is not None

    def _answers(self) -> bool:
        try:
            return self._admin.ping()
        except redis.ConnectionError:
            return False


class RedisCluster:
    """Three redis-servers in a cluster, each a master of a third of the slots, none with a replica.

    Args: as for `RedisServer`, for each of the three.
    """

    def __init__(self, *, clock: Clock | None = None, append_only: bool = False, **config: str) -> None:
        self._clock = clock
        # A node that has not been heard of for so long is dead; a clock that leaps must not make it so.
        patient = {"cluster_node_timeout": str(int(TEN_YEARS * 1000))} if clock else {}
        self._bus_ports = [free_port() for _ in range(3)]
        self.nodes = [
            RedisServer(
                clock=clock,
                append_only=append_only,
                **patient | {"cluster_enabled": "yes", "cluster_port": str(bus_port)} | config,
            )
            for bus_port in self._bus_ports
        ]
        self._met = False

    @property
    def port(self) -> int:
        return self.nodes[0].port

    @property
    def url(self) -> str:
        return self.nodes[0].url

    def client(self) -> redis.RedisCluster:
        """A client of its own, which answers in str."""
        return redis.RedisCluster(host=HOST, port=self.port, decode_responses=True)

    def holder(self, key: str) -> RedisServer:
        """The master that has this key."""
        return self.nodes[key_slot(key.encode()) * 3 // SLOTS]

    def start(self) -> Self:
        """Start every node, and wait until each knows that all slots are served."""
        for node in self.nodes:
            node.start()
        if not self._met:
            self._meet()
        self.is_whole()
        return self

    def is_whole(self) -> None:
        """Wait until each node says that the cluster is fine, as after one of them has been restarted."""
        passed = 0

        def fine() -> bool:
            # For two seconds of its time a master that has just started says that it is not ready.
            nonlocal passed
            passed += 1
            if self._clock:
                self.shows(self._clock() + passed)
            return all("cluster_state:ok" in self._asks(node, "INFO") for node in self.nodes)

        until(fine, "the cluster should be whole")
        if self._clock:
            self.shows(self._clock())

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def stops(self) -> None:
        for node in self.nodes:
            node.stops()

    def restarts(self) -> None:
        self.stops()
        self.start()

    def pauses(self) -> None:
        for node in self.nodes:
            node.pauses()

    def goes_on(self) -> None:
        for node in self.nodes:
            node.goes_on()

    def holds(self) -> dict[str, tuple[bytes, int]]:
        return {key: found for node in self.nodes for key, found in node.holds().items()}

    def keys(self, pattern: str) -> set[str]:
        return {key for node in self.nodes for key in node.keys(pattern)}

    def forgets_everything(self) -> None:
        for node in self.nodes:
            node.forgets_everything()

    def forgets_scripts(self) -> None:
        for node in self.nodes:
            node.forgets_scripts()

    def shows(self, now: float) -> None:
        for node in self.nodes:
            node.shows(now)

    def follows(self, clock: Clock) -> None:
        self._clock = clock
        for node in self.nodes:
            node.follows(clock)

    def _meet(self) -> None:
        bounds = [-(-SLOTS * n // 3) for n in range(4)]  # rounded up, as `holder` rounds down
        for n, node in enumerate(self.nodes):
            self._asks(node, "ADDSLOTSRANGE", bounds[n], bounds[n + 1] - 1)
            # Each its own, or they would have to find out who gets which.
            self._asks(node, "SET-CONFIG-EPOCH", n + 1)
        for node in self.nodes:
            for other, bus_port in zip(self.nodes, self._bus_ports, strict=True):
                if other is not node:
                    self._asks(node, "MEET", HOST, other.port, bus_port)
        self._met = True

    def _asks(self, node: RedisServer, *words: object) -> str:
        with node.client() as client:
            return str(client.execute_command("CLUSTER", *words))
