"""What only the SQLite store promises: its file outlives it, and one process at a time owns it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, new_id, newcomer, read_seq
from tests.support.engines import with_nodes
from tim.ends import AWAY, LOGGED_OUT, TYPES, Gone
from tim.errors import InstanceGone, SettingError, StoreUnavailable, UserSigRevoked
from tim.model import AppSettings, Instance, Limits
from tim.rules import ENDS_KEPT, MINUTES_KEPT, NOT_ME_LIFE, log_size
from tim.search import Search
from tim.state_change import LOGIN, EventQueue, event_id
from tim.store import open_store
from tim.store.base import Store
from tim.store.sqlite.schema import UNUSED, VERSION

ROOT = Path(__file__).parents[3]
NODE = "node-1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "instance" / "tim.db"


@contextmanager
def opened(file: Path, clock: Clock) -> Iterator[Store]:
    """The store in the file, from now to the end of the block."""
    store = with_nodes(open_store(f"sqlite:///{file}", grace=GRACE, clock=clock))
    try:
        yield store
    finally:
        store.close()


OTHER_PROCESS = """
import sys
from tim.ends import Client
from tim.model import AppSettings, Instance, Limits
from tim.store import open_store

file, now = sys.argv[1], float(sys.argv[2])
store = open_store(f"sqlite:///{file}", grace=60, clock=lambda: now)
store.renew("node-2")
store.admit(Instance("a" * 32, 1400000000, "alice", Client("Firefox", "203.0.113.7"), 0, now + 86400), 1)
store.attach("a" * 32, "node-2", 1)
print("open", flush=True)
for n in range(1_000_000):
    store.append(1400000000, "a" * 32, "alice", str(n), str(n))
    print(n, flush=True)
"""


@contextmanager
def another_process(file: Path, clock: Clock) -> Iterator[subprocess.Popen[str]]:
    """A process that has the file open, alice logged in and online, and writes one message after the other.

    It prints the number of each message once the store has acknowledged it.
    """
    command = [sys.executable, "-c", OTHER_PROCESS, str(file), str(clock())]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


# The file outlives the store


def test_everything_is_there_again_after_a_restart(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        old, _ = store.admit(newcomer(expires=clock() + DAY), 1)
        tab, _ = store.admit(newcomer(expires=clock() + DAY), 1)
        evicted = store.get(old.id)
        tab = store.attach(tab.id, NODE, 1).instance
        store.append(APP, tab.id, "alice", "hello", new_id())
        store.mark_read(APP, "alice", 1)
        log = store.history(APP, "alice", 0, 10)
    with opened(file, clock) as store:
        assert store.get(old.id) == evicted
        assert [each.id for each in store.instances(APP, "alice")] == [tab.id]
        assert store.history(APP, "alice", 0, 10) == log
        view = store.attach(tab.id, NODE, 1)
        assert (view.newest, view.read_seq) == (1, 1)
        back = view.instance
        assert (back.generation, back.since) == (tab.generation, tab.since)
        assert back.stream > tab.stream
        assert store.detach(tab.id, tab.stream) is False, "the stream of the process before is void"
        later, _ = store.admit(newcomer(expires=clock() + DAY), 1)
        assert later.generation > back.generation
        assert store.append(APP, store.attach(later.id, NODE, 1).instance.id, "alice", "again", new_id())[0].seq == 2


def test_what_was_acknowledged_is_there_after_a_kill(file: Path, clock: Clock, rounds: int) -> None:
    acknowledged = 0
    for _ in range(3 * rounds):
        file.unlink(missing_ok=True)
        with another_process(file, clock) as process:
            assert process.stdout is not None
            for _ in range(20):
                acknowledged = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().splitlines()
            acknowledged = max([acknowledged, *(int(line) for line in rest if line.isdigit())])
            assert process.wait() == -signal.SIGKILL
        with opened(file, clock) as store:
            [alice] = store.instances(APP, "alice")
            assert not alice.online, "no stream outlives its process"
            log = store.history(APP, "alice", 0, 1_000_000)
            assert [each.seq for each in log] == list(range(1, len(log) + 1))
            assert [each.text for each in log] == [str(n) for n in range(len(log))]
            # The line of the last one may have been lost with the process that was to print it.
            assert len(log) > acknowledged
            assert store.attach(alice.id, NODE, 1).instance.online


def test_whoever_was_logged_in_has_a_whole_grace_time_to_come_back(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        detached, _ = store.admit(newcomer(expires=clock() + DAY), 10)
        attached, _ = store.admit(newcomer(expires=clock() + DAY), 10)
        store.attach(attached.id, NODE, 10)
        clock.advance(GRACE - 1)
    clock.advance(GRACE - 2)  # The server stands still for a while; nobody's fault.
    with opened(file, clock) as store:
        clock.advance(GRACE - 1)
        assert [each.id for each in store.instances(APP, "alice")] == [detached.id, attached.id]
        clock.advance(1)
        assert store.instances(APP, "alice") == []


def test_whose_user_sig_ran_out_meanwhile_has_ended_for_that_reason(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        tab, _ = store.admit(newcomer(expires=clock() + 100), 1)
        store.attach(tab.id, NODE, 1)
    clock.advance(100)
    with opened(file, clock) as store:
        assert store.get(tab.id).gone == Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, clock())


def test_a_restart_takes_no_end_back(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        out, _ = store.admit(newcomer(expires=clock() + DAY), 10)
        store.remove(out.id, Gone(LOGGED_OUT, 0))
        away, _ = store.admit(newcomer(expires=clock() + DAY), 10)
        clock.advance(GRACE)
        store.sweep()
    with opened(file, clock) as store:
        assert [store.get(each.id).gone for each in (out, away)] == [
            Gone(LOGGED_OUT, clock() - GRACE),
            Gone(AWAY, clock()),
        ]


def test_a_restart_gives_no_seat_to_who_had_lost_it_to_somebody_else(file: Path, clock: Clock) -> None:
    # The first is away, which no sweep has written down yet; the second takes the only seat; then a restart.
    with opened(file, clock) as store:
        away, _ = store.admit(newcomer(expires=clock() + DAY), 1)
        clock.advance(GRACE)
        second, evicted = store.admit(newcomer(expires=clock() + DAY), 1)
        assert (away.id in [each.id for each in evicted]) or evicted == []
        store.attach(second.id, NODE, 1)
    with opened(file, clock) as store:
        assert [each.id for each in store.instances(APP, "alice")] == [second.id]
        with pytest.raises(InstanceGone):
            store.attach(away.id, NODE, 1)


def test_nobody_waits_for_a_detach_by_a_process_that_is_no_more(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        tab, _ = store.admit(newcomer(expires=clock() + DAY), 1)
        store.attach(tab.id, NODE, 1)
        store.remove(tab.id, Gone(LOGGED_OUT, 0))
    with opened(file, clock) as store:
        assert store.renew(NODE) == []
        clock.advance(8 * DAY)
        store.sweep()
    assert rows(file)["instances"] == 0


def rows(file: Path) -> dict[str, int]:
    """How many rows each table has."""
    with sqlite3.connect(file) as db:
        return {
            table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("instances", "messages", "accounts")
        }


def test_many_logins_and_messages_leave_one_row_for_each_account(file: Path, clock: Clock, rounds: int) -> None:
    users = ("alice", "bob", "carol")
    with opened(file, clock) as store:
        for n in range(100 * rounds):
            tab, _ = store.admit(newcomer(users[n % 3], expires=clock() + 100), 2)
            tab = store.attach(tab.id, NODE, 2).instance
            store.append(APP, tab.id, users[n % 3], "hello", new_id())
            store.detach(tab.id, tab.stream)
            clock.advance(20)
            store.sweep()
        clock.advance(8 * DAY)
        store.sweep()
        clock.advance(8 * DAY)
        store.sweep()
    assert rows(file) == {"instances": 0, "messages": 0, "accounts": 3}


# One process owns it


def test_a_second_process_is_refused_with_one_line_that_says_what_to_do(file: Path, clock: Clock) -> None:
    with opened(file, clock):
        refused = subprocess.run(
            [sys.executable, "-c", OTHER_PROCESS, str(file), "0"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert refused.returncode != 0
        assert refused.stdout == ""
        line = refused.stderr.strip().splitlines()[-1]
        assert "SettingError: TIM_STORE: " in line
        for word in (str(file), str(os.getpid()), "Redis"):
            assert word in line


def test_this_process_is_refused_while_another_has_the_file_and_not_afterwards(file: Path, clock: Clock) -> None:
    with another_process(file, clock) as process:
        with pytest.raises(SettingError, match=f"in use by process {process.pid}"), opened(file, clock):
            pass
        process.kill()
        process.wait()
    with opened(file, clock) as store:
        assert len(store.instances(APP, "alice")) == 1, "and the refused one has spoilt nothing"


def test_one_process_does_not_open_it_twice_either(file: Path, clock: Clock) -> None:
    refused = pytest.raises(SettingError, match=f"in use by process {os.getpid()}")
    with opened(file, clock), refused, opened(file, clock):
        pass
    with opened(file, clock):
        pass


# What cannot be a store is refused, and says so


def refusal(url: str) -> str:
    """The line the start is stopped with."""
    with pytest.raises(SettingError) as refused:
        open_store(url, grace=GRACE, clock=Clock())
    assert refused.value.name == "TIM_STORE"
    line = str(refused.value)
    assert line.startswith("TIM_STORE: ")
    assert "\n" not in line
    return line


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("Dear diary, " * 1000)
    assert str(file) in refusal(f"sqlite:///{file}")
    assert file.read_text() == "Dear diary, " * 1000
    file.unlink()
    with opened(file, Clock()):  # and the lock was let go of
        pass


@pytest.mark.parametrize("version", [UNUSED, 99])
def test_a_file_of_another_version_is_refused_and_left_as_it_is(file: Path, clock: Clock, version: int) -> None:
    with opened(file, clock):
        pass
    with sqlite3.connect(file) as db:
        db.execute(f"PRAGMA user_version = {version}")
    assert f"schema {version}" in refusal(f"sqlite:///{file}")
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (version,)


def test_a_folder_in_place_of_the_file_is_refused(file: Path) -> None:
    file.mkdir(parents=True)
    assert str(file) in refusal(f"sqlite:///{file}")


def test_a_file_in_place_of_the_folder_is_refused(file: Path) -> None:
    file.parent.write_text("no folder")
    assert str(file) in refusal(f"sqlite:///{file}")


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    assert "/proc/tim.db" in refusal("sqlite:////proc/tim.db")  # which not even root can write


@pytest.mark.parametrize(
    "url",
    ["", "tim.db", "/var/lib/tim.db", "sqlite", "sqlite:", "sqlite:/tim.db", "sqlite://tim.db", "sqlite:///", "mysql://host/db",
     "SQLITE//x", "://", "http://127.0.0.1/"],
)  # fmt: skip
def test_an_address_that_names_no_store_is_refused_and_quoted(url: str) -> None:
    assert repr(url) in refusal(url)


def test_a_refused_address_does_not_show_its_password() -> None:
    words = refusal("mysql://tim:a-secret@db.example/tim")
    assert "mysql" in words
    assert "a-secret" not in words


def test_a_store_in_memory_is_private_and_leaves_no_file(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = (open_store("sqlite://", grace=GRACE, clock=clock) for _ in range(2))
    one.admit(newcomer(expires=clock() + DAY), 1)
    assert two.instances(APP, "alice") == []
    one.close()
    two.close()
    assert list(tmp_path.iterdir()) == []


def test_notices_that_a_stop_has_left_make_room_at_the_next_start(file: Path, clock: Clock) -> None:
    gone: list[Instance] = []
    with opened(file, clock) as store:
        for _ in range(ENDS_KEPT + 30):
            clock.advance(1)
            gone += store.enter(newcomer(expires=clock() + DAY), 1, node=NODE)[1]
        clock.advance(NOT_ME_LIFE)
    with opened(file, clock) as store:
        kept = [each for each in gone if store.get(each.id).gone == each.gone]
        assert kept == gone[-ENDS_KEPT:]


def test_a_relative_and_an_absolute_address_name_the_same_file(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parents[1])
    store = open_store("sqlite:///instance/tim.db", grace=GRACE, clock=clock)
    tab, _ = store.admit(newcomer(expires=clock() + DAY), 1)
    store.close()
    with opened(file, clock) as store:
        assert store.get(tab.id).gone is None


def test_another_name_of_the_same_file_is_the_same_store(file: Path, clock: Clock) -> None:
    with opened(file, clock):
        alias = file.parent / "alias.db"
        alias.symlink_to(file)
        assert "in use" in refusal(f"sqlite:///{alias}")


def test_a_process_that_was_forked_cannot_use_the_store_of_its_parent(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        child = os.fork()
        if not child:
            try:
                store.get("x")
            except StoreUnavailable:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert store.get("x").gone is not None


# A file that does not stay what it was


def deleted(file: Path) -> None:
    file.unlink()


def truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def emptied(file: Path) -> None:
    os.truncate(file, 0)


def replaced(file: Path) -> None:
    copy = file.with_name("copy.db")
    copy.write_bytes(file.read_bytes())
    copy.rename(file)


def without_its_log(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def without_its_lock(file: Path) -> None:
    file.with_name(f"{file.name}.lock").unlink()


def overwritten(file: Path) -> None:
    """As by `cp`, with what begins like a database and is larger."""
    file.write_bytes(b"SQLite format 3\0".ljust(2 * file.stat().st_size, b"\0"))


def cut_short_and_filled_up(file: Path) -> None:
    size = file.stat().st_size
    os.truncate(file, 4096)
    os.truncate(file, size)


@pytest.mark.parametrize(
    "harm", [deleted, truncated, emptied, replaced, overwritten, without_its_log, without_its_lock]
)
def test_a_file_that_is_harmed_under_way_is_noticed_before_anything_is_acknowledged(
    file: Path, clock: Clock, harm: Callable[[Path], None]
) -> None:
    with opened(file, clock) as store:
        store.admit(newcomer(expires=clock() + DAY), 1)
        harm(file)
        for verb in (lambda: store.admit(newcomer(expires=clock() + DAY), 1), lambda: store.renew(NODE)):
            with pytest.raises(StoreUnavailable, match="stop this server, put the file back, or a backup"):
                verb()


def test_an_older_state_that_is_copied_over_the_file_is_noticed(file: Path, clock: Clock) -> None:
    def write_much(store: Store, user: str) -> None:
        store.import_account(APP, user)
        for n in range(30):
            store.deliver(APP, user, user, "x" * 4000, str(n), copy=False)

    with opened(file, clock) as store:
        write_much(store, "alice")
    backup = file.read_bytes()
    with opened(file, clock) as store:
        write_much(store, "bob")
    with opened(file, clock) as store:
        file.write_bytes(backup.ljust(file.stat().st_size, b"\0"))
        with pytest.raises(StoreUnavailable, match="overwritten"):
            store.get("x")


def test_a_file_that_was_harmed_stays_refused_though_it_looks_whole_again(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        whole = file.read_bytes()
        truncated(file)
        with pytest.raises(StoreUnavailable, match="cut short"):
            store.get("x")
        file.write_bytes(whole)
        with pytest.raises(StoreUnavailable, match="cut short"):
            store.get("x")


def test_another_program_may_read_the_file_meanwhile(file: Path, clock: Clock) -> None:
    read = f"import sqlite3; db = sqlite3.connect({str(file)!r}); print(*db.execute('SELECT count(*) FROM instances'))"
    with opened(file, clock) as store:
        for n in (1, 2):
            store.admit(newcomer(expires=clock() + DAY), 10)
            found = subprocess.run(
                [sys.executable, "-c", f"{read}; db.close()"], check=True, capture_output=True, text=True
            )
            assert found.stdout == f"({n},)\n"


@pytest.mark.parametrize("harm", [truncated, emptied, cut_short_and_filled_up])
def test_a_file_that_was_cut_short_is_refused_at_a_start(
    file: Path, clock: Clock, harm: Callable[[Path], None]
) -> None:
    with opened(file, clock) as store:
        store.admit(newcomer(expires=clock() + DAY), 1)
    harm(file)
    words = refusal(f"sqlite:///{file}")
    assert "restore it from a backup, or delete it to begin anew" in words
    file.unlink()
    with opened(file, clock) as store:
        assert store.instances(APP, "alice") == []


VERSION_10 = """
CREATE INDEX instances_ending ON instances (ends_at) WHERE reason IS NULL;
CREATE INDEX audit_written ON audit (written); CREATE INDEX refusals_written ON refusals (written);
INSERT INTO counters SELECT app, name, sum(number) FROM minutes GROUP BY app, name
    ON CONFLICT DO UPDATE SET number = number + excluded.number;
"""
"""Takes back what version 12 has changed."""
VERSION_9 = f"{VERSION_10} ALTER TABLE settings DROP COLUMN messages;"
"""Takes back what version 10 has changed as well."""
VERSION_8 = f"""{VERSION_9}
DROP INDEX instances_due; DROP INDEX instances_ending;
ALTER TABLE instances DROP COLUMN ends_at;
CREATE INDEX instances_due ON instances (detached_at, expires, app) WHERE reason IS NULL;
"""
"""Takes back what version 9 has changed as well."""
VERSION_7 = f"""{VERSION_8}
ALTER TABLE instances DROP COLUMN ordinal; ALTER TABLE instances DROP COLUMN kind;
ALTER TABLE instances DROP COLUMN name; ALTER TABLE instances DROP COLUMN vouched;
ALTER TABLE instances DROP COLUMN disowned; ALTER TABLE instances DROP COLUMN lasts_until;
ALTER TABLE instances DROP COLUMN idle_life; ALTER TABLE instances DROP COLUMN active_at;
ALTER TABLE settings DROP COLUMN not_me; ALTER TABLE settings DROP COLUMN help_text;
ALTER TABLE settings DROP COLUMN help_url; ALTER TABLE settings DROP COLUMN session_life;
ALTER TABLE settings DROP COLUMN idle_life;
"""
"""Takes back what version 8 has changed as well."""
VERSION_6 = f"""{VERSION_7}
DROP TABLE audit; DROP TABLE refusals; DROP TABLE counters; DROP TABLE minutes;
ALTER TABLE instances DROP COLUMN words;
DROP TABLE events; DROP TABLE event_accounts; DROP TABLE event_queues; DROP TABLE settings;
DROP TABLE sessions; DROP TABLE jobs;
DROP TABLE blocks;
CREATE TABLE limits (
    app INTEGER PRIMARY KEY, instances INTEGER NOT NULL, per_account INTEGER NOT NULL, per_address INTEGER NOT NULL
);
DROP INDEX instances_live; DROP INDEX instances_by_address; DROP INDEX instances_by_browser;
DROP INDEX instances_by_since;
CREATE INDEX instances_live ON instances (app, user) WHERE reason IS NULL;
"""
"""Takes back what version 7 has changed as well."""
VERSION_5 = f"""{VERSION_6}
ALTER TABLE accounts RENAME COLUMN read_seq TO shown;
ALTER TABLE revocations RENAME TO voided;
ALTER TABLE early_usersigs RENAME TO early;
DROP INDEX instances_pending;
CREATE INDEX instances_untold ON instances (node) WHERE reason IS NOT NULL AND node <> '';
"""
"""Takes back what version 6 has changed as well."""


def test_limits_that_were_saved_in_a_file_of_version_6_are_settings_now(file: Path, clock: Clock) -> None:
    with opened(file, clock):
        pass
    with sqlite3.connect(file) as db:
        db.executescript(f"{VERSION_6} INSERT INTO limits VALUES ({APP}, 3, 30, 300); PRAGMA user_version = 6")
    with opened(file, clock) as store:
        assert store.settings(APP) == AppSettings(Limits(3, 30, 300), version=1)
        store.save_settings(APP, AppSettings(Limits(2), version=1), "console admin")


def test_what_a_file_of_version_5_says_is_there_under_the_names_of_now(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        store.admit(newcomer(expires=clock() + DAY), 1, made=clock() + 60)
        store.deliver(APP, "administrator", "alice", "hello", new_id(), copy=False)
        store.mark_read(APP, "alice", 1)
        store.kick_account(APP, "alice")
        before = store.account(APP, "alice").revoked_before
    with sqlite3.connect(file) as db:
        db.executescript(f"{VERSION_5} PRAGMA user_version = 5")
    with opened(file, clock) as store:
        assert read_seq(store, "alice") == 1
        assert store.account(APP, "alice").revoked_before == before > 0
        with pytest.raises(UserSigRevoked):
            store.admit(newcomer(expires=clock() + DAY), 1, made=clock() + 60)


def test_who_is_live_in_a_file_of_version_6_is_on_the_list(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        tab, _ = store.admit(newcomer(expires=clock() + DAY), 1)
    with sqlite3.connect(file) as db:
        db.executescript(f"{VERSION_6} PRAGMA user_version = 6")
    with opened(file, clock) as store:
        for where in (Search("alice"), Search(address=tab.client.address), Search(browser="fire"), Search(since=1)):
            assert [each.id for each in store.search(APP, where).instances] == [tab.id]


@pytest.mark.parametrize(("version", "takes_back"), [(7, VERSION_7), (8, VERSION_8)])
def test_who_is_logged_in_in_a_file_of_an_older_version_goes_on(
    file: Path, clock: Clock, version: int, takes_back: str
) -> None:
    with opened(file, clock) as store:
        first, second = (store.admit(newcomer(expires=clock() + DAY), 2)[0] for _ in range(2))
        expiring, _ = store.admit(newcomer("bob", expires=clock() + 100), 1)
        store.attach(first.id, NODE, 2)
        store.append(APP, first.id, "bob", "hello", new_id())
        store.save_settings(APP, AppSettings(Limits(2)), "console admin")
    with sqlite3.connect(file) as db:
        db.executescript(f"{takes_back} PRAGMA user_version = {version}")
    with opened(file, clock) as store:
        assert [(each.id, each.ordinal, each.ends_at) for each in store.instances(APP, "alice")] == [
            (each.id, each.generation, each.expires) for each in (first, second)
        ]
        assert store.settings(APP) == replace(
            AppSettings(Limits(2), version=1), saved_at=clock(), saved_by="console admin"
        )
        attached = store.attach(first.id, NODE, 2).instance
        assert (attached.generation, attached.stream) == (first.generation, first.stream + 2)
        store.append(APP, first.id, "bob", "hello again", new_id())
        third, evicted = store.admit(newcomer(expires=clock() + DAY), 2)
        assert ([each.id for each in evicted], third.ordinal > second.generation) == ([second.id], True)
        store.attach(expiring.id, NODE, 2)
        clock.advance(100)
        assert {each.id: each.gone and each.gone.reason for each in store.sweep()} == {
            expiring.id: TYPES.KICKED_OUT_USERSIG_EXPIRED,
            third.id: AWAY,
        }
        clock.advance(DAY)
        assert [each.id for each in store.sweep()] == [first.id]


def test_what_a_file_of_version_10_has_counted_counts_once(file: Path, clock: Clock) -> None:
    with opened(file, clock) as store:
        store.count(APP, {"early": 5, "both": 1})
        clock.advance(MINUTES_KEPT + 61)
        store.sweep()
        store.count(APP, {"late": 3, "both": 1})
    with sqlite3.connect(file) as db:
        db.executescript(f"{VERSION_10} PRAGMA user_version = 10")
    with opened(file, clock) as store:
        assert store.counters(APP) == {"early": 5, "both": 2, "late": 3}
        assert list(store.minutes(APP, 0).values()) == [{"late": 3, "both": 1}]


def test_a_file_of_an_older_version_gets_what_it_lacks(file: Path, clock: Clock) -> None:
    file.parent.mkdir(parents=True)
    with sqlite3.connect(file) as db:
        db.executescript(resources.files("tim.store.sqlite").joinpath("schema.sql").read_text())
        db.executescript(f"{VERSION_5} DROP INDEX instances_ended; DROP TABLE early; PRAGMA user_version = 3")
    with opened(file, clock):
        pass
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
        lacked = "SELECT count(*) FROM sqlite_master WHERE name IN ('instances_ended', 'early_usersigs', 'sessions')"
        assert db.execute(lacked).fetchone() == (3,)


def test_the_messages_of_an_older_file_count_for_what_a_log_holds(file: Path, clock: Clock) -> None:
    texts = ["é" * 100, "x"]
    with opened(file, clock) as store:
        store.import_account(APP, "bob")
        for text in texts:
            store.deliver(APP, "administrator", "bob", text, new_id(), copy=False)
    with sqlite3.connect(file) as db:
        db.executescript(
            f"{VERSION_5} DROP TABLE early; DROP INDEX instances_ended; DROP INDEX messages_by_id;"
            "ALTER TABLE accounts DROP COLUMN bytes;"
            "CREATE UNIQUE INDEX messages_once ON messages (app, user, instance, id); PRAGMA user_version = 2"
        )
    with opened(file, clock) as store:
        assert [each.text for each in store.history(APP, "bob", 0, 10)] == texts
    with sqlite3.connect(file) as db:
        counted = db.execute("SELECT bytes FROM accounts WHERE user = 'bob'").fetchone()
    assert counted == (sum(map(log_size, texts)),)


def test_in_a_full_queue_of_events_the_oldest_of_the_same_account_makes_room(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tim.store.sqlite.events.EVENTS_KEPT", 2)
    with opened(file, clock) as store:
        store.queue_events(APP, True)
        first, second = (store.admit(newcomer(expires=clock() + DAY), 2)[0] for _ in range(2))
        store.remove(first.id, Gone(LOGGED_OUT, 0))
        store.admit(newcomer("bob", expires=clock() + DAY), 1)
        assert store.event_queue(APP) == EventQueue(2, 2)
        assert store.take_event(APP, "bob", "sender", 10) is None
        left = store.take_event(APP, "alice", "sender", 10)
        assert left is not None
        assert left.id == event_id(second, LOGIN)
