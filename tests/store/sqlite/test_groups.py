"""Verbs that come at about the same time are committed together; each is atomic, and answered once it is on disk."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.actors import APP, Clock
from tests.support.waiting import until
from tim.errors import StoreUnavailable
from tim.store import open_store
from tim.store.sqlite import accounts, disk, groups
from tim.store.sqlite.database import Database
from tim.timing import DEFAULT, Timing

ROOT = Path(__file__).parents[3]
USERS = ("alice", "bob", "carol", "dave")


class Statements:
    """A database, and the statements that it runs."""

    def __init__(self, path: Path, clock: Clock, timing: Timing = DEFAULT) -> None:
        self.database = Database(str(path), clock, timing)
        self.seen: list[str] = []
        self.database.connection.set_trace_callback(self.seen.append)

    def number(self, statement: str) -> int:
        """How often a statement has run that begins like this."""
        return len([each for each in self.seen if each.startswith(statement)])

    def create(self, user: str, *, durable: bool = True) -> str:
        """The verb of these tests: makes an account exist."""
        with self.database.transaction(durable=durable):
            accounts.create(self.database.connection, APP, user)
        return user

    def create_and_refuse(self, user: str) -> None:
        """A verb that is refused after it has written something."""
        with self.database.transaction():
            accounts.create(self.database.connection, APP, user)
            raise PermissionError(user)

    def users(self) -> list[str]:
        with self.database.reading():
            rows = self.database.connection.execute("SELECT user FROM accounts WHERE app = ? ORDER BY user", (APP,))
            return [user for (user,) in rows]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tim.db"


@pytest.fixture
def statements(file: Path, clock: Clock) -> Iterator[Statements]:
    opened = Statements(file, clock)
    yield opened
    opened.database.close()


@contextmanager
def group(statements: Statements, *verbs: Callable[[], object]) -> Iterator[list[Future[object]]]:
    """Verbs that have run, each on a thread. The disk is busy until the end of the block; then they are committed."""
    begun: list[Future[object]] = []
    with ThreadPoolExecutor(len(verbs)) as pool, vars(vars(statements.database)["_groups"])["_committing"]:
        for verb in verbs:
            begun.append(pool.submit(verb))
            until(lambda: statements.number("INSERT") == len(begun), "the verb has not run")
        yield begun


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """No file can become larger than the -wal is."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.with_name(f"{file.name}-wal").stat().st_size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def failing_disk(statements: Statements) -> Iterator[None]:
    """Nothing can be written to the disk any more."""
    read, write = os.pipe()  # which no system can write to a disk
    os.dup2(read, vars(vars(statements.database)["_disk"])["_file"])
    yield
    os.close(read)
    os.close(write)


def test_verbs_that_wait_for_the_disk_together_share_one_commit(statements: Statements) -> None:
    with group(statements, *(lambda user=user: statements.create(user) for user in USERS)) as begun:
        assert not [each for each in begun if each.done()], "none is answered before it is on disk"
        assert statements.number("COMMIT") == 0
    assert [each.result() for each in begun] == list(USERS)
    assert (statements.number("BEGIN"), statements.number("COMMIT")) == (1, 1)
    assert statements.users() == list(USERS)


def test_a_verb_that_is_refused_takes_back_only_what_it_has_written(statements: Statements) -> None:
    def refused() -> None:
        statements.create_and_refuse("bob")

    verbs = (lambda: statements.create("alice"), refused, lambda: statements.create("carol"))
    with group(statements, *verbs) as begun:
        pass
    assert [type(each.exception()) for each in begun] == [type(None), PermissionError, type(None)]
    assert statements.users() == ["alice", "carol"]
    assert statements.number("COMMIT") == 1


def test_a_verb_that_is_refused_alone_leaves_nothing_and_no_transaction(statements: Statements) -> None:
    with pytest.raises(PermissionError):
        statements.create_and_refuse("alice")
    assert statements.users() == []
    assert not statements.database.connection.in_transaction


def test_a_commit_that_fails_fails_all_its_verbs_and_leaves_nothing(file: Path, statements: Statements) -> None:
    statements.create("old")
    statements.seen.clear()

    def refused() -> None:
        statements.create_and_refuse("carol")

    with ThreadPoolExecutor() as pool, full_disk(file):
        verbs = (lambda: statements.create("alice"), lambda: statements.create("bob"), refused)
        with group(statements, *verbs) as begun:
            reader = pool.submit(statements.users)
            until(lambda: statements.number("SELECT user") == 1, "nothing is read")
        assert [type(each.exception()) for each in begun] == 3 * [StoreUnavailable]
        assert type(reader.exception()) is StoreUnavailable, "it has read what was not kept"
    assert statements.users() == ["old"]
    statements.create("new")
    assert statements.users() == ["new", "old"], "and there is room again"


def test_a_verb_for_which_there_is_no_room_fails_all_before_it_in_the_group(statements: Statements) -> None:
    db = statements.database.connection
    statements.create("old")

    def too_large() -> None:
        with statements.database.transaction():
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages + 1}")
            accounts.create(db, APP, "x" * 1_000_000)

    statements.seen.clear()
    with ThreadPoolExecutor() as pool, group(statements, lambda: statements.create("alice"), too_large) as begun:
        db.execute("PRAGMA max_page_count = 1000000")
        later = pool.submit(statements.create, "bob")
        until(lambda: statements.number("INSERT") == 3, "the verb has not run")
    assert [type(each.exception()) for each in begun] == 2 * [StoreUnavailable], "SQLite takes back the transaction"
    assert later.result() == "bob"
    assert statements.users() == ["bob", "old"]


def test_after_a_disk_has_failed_nothing_is_acknowledged_until_a_new_start(file: Path, clock: Clock) -> None:
    statements = Statements(file, clock)
    with failing_disk(statements):
        for verb in (lambda: statements.create("alice"), lambda: statements.create("bob"), statements.users):
            with pytest.raises(StoreUnavailable, match=r"the disk may have lost what was written.* stop this server"):
                verb()
    statements.database.close()
    again = Statements(file, clock)
    again.create("bob")
    assert "bob" in again.users()
    again.database.close()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times at which something was written to the disk, by the monotonic clock."""
    times: list[float] = []
    real = disk.SYNC

    def sync(file: int) -> None:
        real(file)
        times.append(time.monotonic())

    monkeypatch.setattr(disk, "SYNC", sync)
    return times


def test_what_is_not_durable_is_on_disk_soon(file: Path, clock: Clock, synced: list[float]) -> None:
    statements = Statements(file, clock, Timing(sqlite_sync=0.1))
    statements.create("alice", durable=False)
    until(lambda: len(synced) == 1, "the disk never gets it")
    statements.create("bob", durable=False)
    until(lambda: len(synced) == 2, "the disk never gets what came later")
    statements.database.close()
    assert len(synced) == 2, "nothing was left"


def test_what_is_durable_takes_with_it_to_the_disk_what_is_not(file: Path, clock: Clock, synced: list[float]) -> None:
    statements = Statements(file, clock, Timing(sqlite_sync=3600))
    statements.create("alice", durable=False)
    statements.create("bob")
    assert len(synced) == 1
    statements.database.close()
    assert len(synced) == 1


def test_one_durable_verb_makes_its_group_durable(file: Path, clock: Clock, synced: list[float]) -> None:
    statements = Statements(file, clock, Timing(sqlite_sync=3600))
    verbs = [lambda user=user, first=user == USERS[0]: statements.create(user, durable=first) for user in USERS]
    with group(statements, *verbs):
        pass
    assert (statements.number("COMMIT"), len(synced)) == (1, 1)
    statements.database.close()


def test_what_is_not_durable_is_answered_first_and_on_disk_when_the_file_is_closed(
    file: Path, clock: Clock, synced: list[float]
) -> None:
    statements = Statements(file, clock, Timing(sqlite_sync=3600))
    statements.create("alice", durable=False)
    assert statements.number("COMMIT") == 1, "a process that is killed now has lost nothing"
    assert synced == []
    statements.database.close()
    assert len(synced) == 1


def test_after_a_disk_has_failed_that_nobody_waited_for_nothing_is_acknowledged(file: Path, clock: Clock) -> None:
    statements = Statements(file, clock, Timing(sqlite_sync=0.1))
    with failing_disk(statements):
        statements.create("alice", durable=False)

        def refused() -> bool:
            with suppress(StoreUnavailable):
                statements.users()
                return False
            return True

        until(refused, "it goes on")
        with pytest.raises(StoreUnavailable, match="the disk may have lost what was written last"):
            statements.create("bob", durable=False)
    statements.database.close()


def test_a_read_needs_no_transaction(statements: Statements) -> None:
    statements.users()
    assert len(statements.seen) == 1
    assert statements.seen[0].startswith("SELECT")


def test_the_log_of_sqlite_is_used_again_however_much_is_written(
    file: Path, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "LOG_CHANGES", 20)

    def write(user: str) -> None:
        for n in range(100):
            statements.create(f"{user}{n}")

    write("alice")
    size = file.with_name(f"{file.name}-wal").stat().st_size
    with ThreadPoolExecutor() as pool:
        list(pool.map(write, USERS[1:]))
    assert file.with_name(f"{file.name}-wal").stat().st_size <= 2 * size
    assert len(statements.users()) == 400


GREENLETS = """
from gevent import monkey; monkey.patch_all()
import sys, time
import gevent
from tests.store.sqlite.test_groups import Statements
from tim.store.sqlite import disk

statements = Statements(sys.argv[1], time.time)
committing = vars(vars(statements.database)["_groups"])["_committing"]
with committing:
    verbs = [gevent.spawn(statements.create, user) for user in "abcdefgh"]
    killed, others = verbs[0], verbs[1:]
    while statements.number("INSERT") < len(verbs):
        gevent.sleep()
    killed.kill()
gevent.joinall(others, raise_error=True)
print("commits", statements.number("COMMIT"), *statements.users())

disk.SLOW, disk.LEFT = float(sys.argv[2]), 1e9
file = disk.Disk(sys.argv[1])
file.sync()
others = gevent.spawn(print, "others go on")
file.sync()
print("on disk")
gevent.wait([others])
"""


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(
    ("slow", "order"), [("0", ["others go on", "on disk"]), ("60", ["on disk", "others go on"])], ids=["slow", "quick"]
)
def test_greenlets_go_on_while_one_waits_for_a_slow_disk_and_another_commits_if_that_one_is_killed(
    file: Path, slow: str, order: list[str]
) -> None:
    command = [sys.executable, "-c", GREENLETS, str(file), slow]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    assert told.stdout.splitlines() == ["commits 1 a b c d e f g h", *order]


TURNS = """
from gevent import monkey; monkey.patch_all()
import sys, time
import gevent
from tests.store.sqlite.test_groups import Statements

statements = Statements(sys.argv[1], time.time)
gevent.joinall([gevent.spawn(statements.create, user) for user in "abcd"], raise_error=True)
print("commits", statements.number("COMMIT"), *statements.users())
"""


@pytest.mark.usefixtures("not_quick")
def test_verbs_of_greenlets_that_can_run_share_one_commit_however_quick_the_disk_is(file: Path) -> None:
    command = [sys.executable, "-c", TURNS, str(file)]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    assert told.stdout.splitlines() == ["commits 1 a b c d"]


NO_ROOM = """
from gevent import monkey; monkey.patch_all()
import sys
from tim.store.sqlite.disk import Disk

def has_no_room():
    raise OSError("no room")

for _ in range(2):
    try:
        Disk(sys.argv[1]).run(has_no_room)
    except OSError as error:
        print(error)
"""


@pytest.mark.usefixtures("not_quick")
def test_a_disk_that_fails_is_told_to_a_greenlet_also_where_stderr_is_on_it(file: Path) -> None:
    file.touch()
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            [sys.executable, "-c", NO_ROOM, str(file)],
            cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=full, text=True, timeout=30,
        )  # fmt: skip
    assert told.stdout.splitlines() == ["no room", "no room"]


WRITERS = """
import os, sys, threading
from tim.store import open_store

store = open_store(f"sqlite:///{sys.argv[1]}", grace=60, clock=lambda: 1000.0)

def write(user):
    store.import_account(1, user)
    for n in range(1_000_000):
        store.deliver(1, user, user, str(n), f"{user} {n}", copy=False)
        os.write(1, f"{user} {n}\\n".encode())

for user in sys.argv[2:]:
    threading.Thread(target=write, args=(user,)).start()
"""


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()"], ids=["threads", "greenlets"])
def test_what_was_acknowledged_of_groups_is_there_after_a_kill(file: Path, rounds: int, patch: str) -> None:
    for _ in range(3 * rounds):
        file.unlink(missing_ok=True)
        command = [sys.executable, "-c", patch + WRITERS, str(file), *USERS]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(200)]
            process.kill()
            told += process.stdout.read().splitlines()
        acknowledged = {user: int(n) for user, n in map(str.split, told)}
        assert acknowledged.keys() == set(USERS)
        with closing(open_store(f"sqlite:///{file}", grace=60, clock=lambda: 1000.0)) as store:
            for user, last in acknowledged.items():
                log = store.history(1, user, 0, 1_000_000)
                assert [each.text for each in log] == [str(n) for n in range(len(log))]
                assert len(log) > last
