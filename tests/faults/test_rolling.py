"""Servers that are replaced one after the other, while people write to each other."""

from __future__ import annotations

import threading
import time
from collections import Counter

from tests.faults.conftest import MakeGunicorn, Opens
from tests.support.balancer import Balancer
from tests.support.livetab import LiveTab
from tests.support.redis_server import RedisServer
from tests.support.site import STOPPED, texts
from tests.support.waiting import until
from tests.support.wire import ask


class Talk:
    """Everybody writes to the next one, as fast as answers come, until told to stop.

    Attributes:
        taken: the texts that were acknowledged, by the tab that sent them and the one that they are for.
    """

    def __init__(self, tabs: list[LiveTab]) -> None:
        self._enough = threading.Event()
        self.taken: dict[tuple[LiveTab, LiveTab], list[str]] = {
            pair: [] for pair in zip(tabs, tabs[1:] + tabs[:1], strict=True)
        }
        self._threads = [threading.Thread(target=self._write, args=pair, daemon=True) for pair in self.taken]
        for thread in self._threads:
            thread.start()

    def goes_on(self) -> None:
        """Wait until everybody has been told another one, and one more."""
        enough = {pair: len(said) + 2 for pair, said in self.taken.items()}
        until(lambda: all(len(said) >= enough[pair] for pair, said in self.taken.items()), "the talk has stopped")

    def ends(self) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def _write(self, sender: LiveTab, receiver: LiveTab) -> None:
        n = 0  # at most two a second: an instance may send a hundred a minute
        while not self._enough.wait(0.5):
            n += 1
            text = f"{n} from {sender.user_id}"
            answer = sender.sends(receiver.user_id, text)
            if answer is not None and answer.status == 200:
                self.taken[sender, receiver].append(text)


def test_a_rolling_restart_kicks_nobody_and_loses_nothing_that_was_acknowledged(
    redis: RedisServer, make_gunicorn: MakeGunicorn, opens: Opens, rounds: int
) -> None:
    servers = [make_gunicorn(redis.port, workers=1) for _ in range(2)]
    door = Balancer(*servers)
    tabs = [opens(door, f"user-{n}") for n in range(4)]
    ages = {tab: tab.script.since() for tab in tabs}
    talk = Talk(tabs)
    talk.goes_on()
    for _ in range(rounds):
        for server in servers:
            asked = time.monotonic()
            assert server.terminate() == 0
            assert time.monotonic() - asked < STOPPED
            talk.goes_on()
            server.start()
            talk.goes_on()
        for server in servers:
            server.reloads()
            talk.goes_on()
    talk.ends()

    for tab in tabs:
        assert tab.codes[0] == 1012
        tab.is_ready()
        tab.was_never_told_to_go()
        assert tab.script.instances() == {tab.id: "online"}
        assert tab.script.since() == ages[tab]
    logs = {tab: Counter(texts(redis, tab.user_id)) for tab in tabs}
    for pair, taken in talk.taken.items():
        for tab in pair:
            assert {logs[tab][text] for text in taken} == {1}, "what was acknowledged is lost, or came twice"
    for tab, log in logs.items():
        assert max(log.values()) == 1, "a message came twice"
        until(lambda tab=tab, log=log: tab.messages[-1] == [*log][-1], "a tab is not told")  # type: ignore[misc]
    for server in servers:
        server.has_no_traceback()
    door.close()


def test_a_reload_answers_everybody_whose_connection_it_has_accepted(
    redis: RedisServer, make_gunicorn: MakeGunicorn
) -> None:
    server, enough = make_gunicorn(redis.port), threading.Event()
    answers: Counter[str] = Counter()

    def visit() -> None:
        while not enough.is_set():
            try:
                answers[str(ask(server, "GET", "/login", headers={"Connection": "close"}).status)] += 1
            except OSError as error:
                answers[repr(error)] += 1

    visitors = [threading.Thread(target=visit, daemon=True) for _ in range(60)]
    for each in visitors:
        each.start()
    for _ in range(2):
        before = answers.total()
        server.reloads()
        until(lambda before=before: answers.total() > before + 100, "nobody is answered")  # type: ignore[misc]
    enough.set()
    for each in visitors:
        each.join()
    assert set(answers) == {"200"}, answers
    server.has_no_traceback()
