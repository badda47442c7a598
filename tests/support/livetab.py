"""A tab as a browser has it open, in the hands of a script: when its line is cut it comes back, as htmx does.

What a tab "is", "reads" or "lists" is a check: it waits for it, and fails where it does not come.
"""

from __future__ import annotations

import http.client
import random
import threading
from typing import Final

from tests.support.waiting import PATIENCE, always, until
from tests.support.wire import NEVER, Answer, ScriptTab, Socket, element, elements, instances_in
from tim.ends import CLOSE_CODES

COME_BACK: Final = frozenset({1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014})
"""After these codes our page opens its stream again; after any other it does not."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0
JITTER: Final = 0.3
TERMINAL: Final = frozenset(CLOSE_CODES.values())


class LiveTab:
    """A tab that stays open until it leaves or is told to stop.

    Attributes:
        script: its instance and cookie.
        codes: what its streams were closed with so far; 1006 also where none could be opened.
        readies: how often it has become ready.
        ready: whether it shows "ready" now.
        messages: the texts it shows, oldest first.
        events: the names of the SDK events it has logged.
        instances: state by id of the instances it lists.
    """

    def __init__(self, script: ScriptTab) -> None:
        self.script = script
        # Written by its own thread alone.
        self.codes: list[int] = []
        self.readies = 0
        self.ready = False
        self.messages: list[str] = []
        self.events: list[str] = []
        self.instances: dict[str, str] = {}
        self._stream: Socket | None = None
        self._leaves = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tab of {script.user_id}", daemon=True)
        self._thread.start()

    @property
    def id(self) -> str:
        return self.script.instance

    @property
    def user_id(self) -> str:
        return self.script.user_id

    @property
    def stream(self) -> Socket:
        """The newest stream that it has opened."""
        assert self._stream is not None
        return self._stream

    # What it does

    def sends(self, to: str, text: str) -> Answer | None:
        """The answer to a message, or None where there was none."""
        try:
            return self.script.posts("messages", {"to": to, "text": text}, htmx=True)
        except (OSError, http.client.HTTPException):
            return None

    def says(self, to: str, text: str) -> None:
        """Send a message, which must be taken."""
        answer = self.sends(to, text)
        assert answer is not None and answer.status == 200, answer

    def leaves(self) -> None:
        """Close it, as a browser closes a tab."""
        self._leaves.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    # What it is

    def is_ready(self, times: int | None = None, patience: float = PATIENCE) -> None:
        """It shows "ready", for the `times`-th time where that is given."""
        until(lambda: self.ready and (times is None or self.readies >= times), self._how, patience)

    def is_not_ready(self, patience: float = PATIENCE) -> None:
        until(lambda: not self.ready, self._how, patience)

    def is_told(self, reason: str, patience: float = PATIENCE) -> None:
        """Its instance has ended for this reason, and it does not come back."""
        until(lambda: CLOSE_CODES[reason] in self.codes, self._how, patience)
        self._thread.join(PATIENCE)
        assert self.codes[-1] == CLOSE_CODES[reason], self._how()
        assert not self.ready

    def reads(self, *texts: str, patience: float = PATIENCE) -> None:
        """It shows exactly these messages."""
        until(lambda: self.messages == list(texts), lambda: f"{self._how()} should show {texts}", patience)

    def lists(self, *states: str, patience: float = PATIENCE) -> None:
        """The instances it lists have exactly these states, oldest first."""
        until(lambda: list(self.instances.values()) == list(states), self._how, patience)

    def was_never_cut(self) -> None:
        """It has been ready since it was opened."""
        assert (self.ready, self.readies, self.codes) == (True, 1, []), self._how()

    def was_never_told_to_go(self) -> None:
        """It heard no KICKED_OUT, and no stream of its was closed for good."""
        assert "kickedOut" not in self.events, self._how()
        assert not TERMINAL & set(self.codes), self._how()

    def stays(self, *, ready: bool, seconds: float) -> None:
        """For so long it shows "ready" all the time, or none of the time."""
        always(lambda: self.ready == ready, self._how, seconds)

    def _how(self) -> str:
        return (
            f"tab {self.id} of {self.user_id}: ready {self.readies} times, {'is' if self.ready else 'is not'} now; "
            f"closed with {self.codes}; heard {self.events}; shows {self.messages[-10:]}; lists {self.instances}"
        )

    # What its thread does

    def _run(self) -> None:
        failures = 0
        while not self._leaves.is_set():
            before = self.readies
            code = self._one_stream()
            if code is None:
                return
            self.ready = False
            self.codes.append(code)
            if code not in COME_BACK:
                return
            failures = 0 if self.readies > before else failures + 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**failures) * random.uniform(1 - JITTER, 1 + JITTER)
            self._leaves.wait(pause)

    def _one_stream(self) -> int | None:
        """Open a stream and follow it to its end; the code of that, or None where the tab was closed."""
        try:
            stream = Socket(self.script.server, self.script.path + "events", cookie=self.script.cookie)
        except OSError:
            return NEVER
        self._stream = stream
        seen = 0
        while not self._leaves.is_set():
            for frame in stream.frames[seen:]:
                seen += 1
                self._shows(frame)
            if stream.code is not None:
                stream.line.close()
                return stream.code
            stream.hears_more(0.05)
        stream.leaves()
        return None

    def _shows(self, frame: str) -> None:
        """Put a frame into place, as htmx does."""
        texts = [found.text for found in elements(frame) if found.attributes.get("class") == "text"]
        if 'hx-swap-oob="innerHTML target:#messages ' in frame:
            self.messages = texts
        else:
            self.messages = [*self.messages, *texts]
        self.events += [name for found in elements(frame) if (name := found.attributes.get("data-event"))]
        if '<section id="instances"' in frame:
            self.instances = instances_in(frame)
        state = element(frame, "sdk-state")
        if state is not None:
            self.readies += state.attributes["data-state"] == "ready"
            self.ready = state.attributes["data-state"] == "ready"
