"""An account and a thief who press "that wasn't me" in turns: who can get UserSigs stays in, and no older login ends.

The account can get a UserSig at any time. The thief has copies of some, and no way to get one.
"""

from __future__ import annotations

from contextlib import closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.actors import APP, DAY, GRACE, Clock, newcomer
from tim.ends import LOGGED_OUT, Gone
from tim.errors import IMError, InstanceGone, UserSigRevoked
from tim.model import Instance
from tim.seat_errors import NotDisplaced
from tim.store.sqlite.engine import SQLiteStore

NODE = "node-1"
STEPS = st.sampled_from(
    ["gets a UserSig", "steals it", *["logs in", "is robbed"] * 3, *["presses"] * 3, "opens", "closes", "logs out",
     "waits", "waits long"]
)  # fmt: skip


class Fight:
    """Both sides of one account, on a store of their own.

    Attributes:
        limit: how many instances the account may have.
        mine: the instances of the account's owner, oldest first.
        theirs: those of the thief.
        stolen: when the UserSigs were made of which the thief has copies.
    """

    def __init__(self, store: SQLiteStore, clock: Clock, limit: int) -> None:
        self._store = store
        self._clock = clock
        self.limit = limit
        self.newest = clock()
        self.mine: list[Instance] = []
        self.theirs: list[Instance] = []
        self.stolen: list[float] = []
        self._said_at = 0.0

    def goes_on(self, step: str, data: st.DataObject) -> None:
        with suppress(IMError):  # a refusal is a step too
            match step:
                case "gets a UserSig":
                    self.newest = self._clock()
                case "steals it":
                    self.stolen.append(self.newest)
                case "logs in":
                    self.logs_in(self.newest)
                case "is robbed" if self.stolen:
                    self.robs(data.draw(st.sampled_from(self.stolen)))
                case "waits" | "waits long":
                    self._clock.advance(1.5 if step == "waits" else GRACE + 1)
                case "presses" | "opens" | "closes" | "logs out" if self.mine or self.theirs:
                    one = data.draw(st.sampled_from(self.mine + self.theirs))
                    self.acts(step, self._store.get(one.id))

    def acts(self, step: str, one: Instance) -> None:
        match step:
            case "presses":
                self.presses(one)
            case "opens":
                self._store.attach(one.id, NODE, self.limit)
            case "closes":
                self._store.detach(one.id, one.stream)
            case "logs out":
                self._store.remove(one.id, Gone(LOGGED_OUT, 0))

    def logs_in(self, made: float) -> Instance:
        self.mine.append(self._admitted(made))
        return self.mine[-1]

    def robs(self, made: float) -> None:
        self.theirs.append(self._admitted(made))

    def _admitted(self, made: float) -> Instance:
        return self._store.admit(newcomer(expires=self._clock() + DAY), self.limit, made)[0]

    def presses(self, one: Instance) -> None:
        """What was there before `one` is there afterwards, and a second press changes nothing.

        So is what has logged in since another has pressed that `one` had been evicted before.
        """
        before = self._store.instances(APP, "alice")
        done = self._store.disown(one.id)
        assert all(each.ordinal > one.ordinal for each in done.ended)
        older = [each for each in before if each.ordinal < one.ordinal]
        younger = [each for each in before if each.ordinal > one.ordinal]
        is_first = one.gone is not None and one.gone.at > self._said_at
        if not done.again:
            younger = [] if is_first else [each for each in younger if each.since > self._said_at]
            self._said_at = self._clock() if is_first else self._said_at
        assert self._store.instances(APP, "alice") == older + younger
        self._clock.advance(done.left)

    def is_in(self, one: Instance) -> bool:
        return self._store.get(one.id).gone is None


@given(st.lists(STEPS, max_size=40), st.integers(1, 3), st.data())
def test_who_can_get_usersigs_stays_in_after_any_history(steps: list[str], limit: int, data: st.DataObject) -> None:
    clock = Clock()
    with closing(SQLiteStore("", grace=GRACE, clock=clock)) as store:
        fight = Fight(store, clock, limit)
        for step in steps:
            fight.goes_on(step, data)
        # The account logs in, the thief displaces it a last time, and the account says that it was not itself.
        fight.limit = 1
        clock.advance(1)
        fight.newest = clock()
        victim = fight.logs_in(fight.newest)
        fight.stolen.append(fight.newest)
        fight.robs(fight.newest)
        assert not fight.is_in(victim)
        fight.presses(store.get(victim.id))
        assert not fight.is_in(fight.theirs[-1])
        for made in fight.stolen:
            with pytest.raises(UserSigRevoked):
                fight.robs(made)
        # From now on the thief has only its evicted tabs, and what they can say has been said.
        clock.advance(0.5)
        last = fight.logs_in(clock())
        for tab in data.draw(st.permutations(fight.theirs)):
            with suppress(NotDisplaced, InstanceGone):
                fight.presses(store.get(tab.id))
        assert fight.is_in(last)
        fight.limit = 2
        fight.logs_in(last.since)  # its UserSig holds
        for made in fight.stolen:
            with pytest.raises(UserSigRevoked):
                fight.robs(made)
