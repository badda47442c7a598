"""What many processes have done to one account, put into one order and held against the rules.

The order is that of the store: each admission and each end says, by the one clock of Redis, when it happened.
Streams open and close between two moments of the machine's clock, which all its processes share.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from tim.ends import TYPES, Gone
from tim.model import Instance
from tim.rules import leaving

SOME_TIME: Final = 1.0
"""The rules ask whether a stream is closed, and not since when."""


@dataclass(frozen=True, slots=True)
class Admission:
    """One answer of `admit`, asked for and given at so many seconds of the machine's clock."""

    began: float
    ended: float
    admitted: Instance
    evicted: list[Instance]


@dataclass(frozen=True, slots=True)
class Turn:
    """The stream of an instance has opened, or closed, some time between the two moments."""

    began: float
    ended: float
    opened: bool


@dataclass(slots=True)
class History:
    """What one process has done, or several.

    Attributes:
        admissions: in the order of their generations.
        turns: by instance, one after the other: only the process that admitted it turns it.
        left: the instances that were logged out, in the order of their ends.
        overtaken: how often somebody older stayed online where a younger one, who was detached, had to leave.
    """

    admissions: list[Admission] = field(default_factory=list)
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    left: list[Instance] = field(default_factory=list)
    overtaken: int = 0

    @classmethod
    def of(cls, parts: Iterable[History]) -> History:
        """What all of them have done."""
        whole = cls()
        for part in parts:
            whole.admissions += part.admissions
            whole.turns |= part.turns
            whole.left += part.left
        whole.admissions.sort(key=lambda each: each.admitted.generation)
        whole.left.sort(key=_end)
        return whole

    def replay(self, limit: int) -> list[frozenset[str]]:
        """Hold every answer against the rules. The ids of who was live at first, and after each step."""
        live: dict[str, Instance] = {}
        states = [frozenset(live)]
        logouts = list(self.left)
        before = 0.0
        for admission in self.admissions:
            newcomer = admission.admitted
            assert newcomer.gone is None
            assert newcomer.since > before, "a later login is a newer generation"
            before = newcomer.since
            while logouts and _end(logouts[0]) < newcomer.since:
                del live[logouts.pop(0).id]
                states.append(frozenset(live))
            out = leaving(self._as_they_were(live.values(), admission), limit)
            assert [each.id for each in admission.evicted] == [each.id for each in out]
            for each in admission.evicted:
                assert each.gone == Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, newcomer.since, newcomer.client)
                del live[each.id]
            youngest = max((each.generation for each in out), default=0)
            self.overtaken += any(each.generation < youngest for each in live.values())
            live[newcomer.id] = newcomer
            states.append(frozenset(live))
        for each in logouts:
            del live[each.id]
            states.append(frozenset(live))
        return states

    def _as_they_were(self, live: Iterable[Instance], admission: Admission) -> list[Instance]:
        """The live instances when this admission was decided, with what is known of their streams.

        Of each that left the store has said whether its stream was open. One that stayed is held to be detached
        only where it certainly was, and online otherwise, which is the case in which it may stay.
        """
        told = {each.id: each.detached_at for each in admission.evicted}
        known = []
        for each in live:
            online = self._was_online(each, admission)
            if each.id in told:
                detached_at = told[each.id]
                assert online is None or online is (detached_at is None)
            else:
                detached_at = SOME_TIME if online is False else None
            known.append(replace(each, detached_at=detached_at))
        return known

    def _was_online(self, instance: Instance, admission: Admission) -> bool | None:
        """Whether its stream was open all through the admission; None where it opened or closed meanwhile."""
        online = False
        for turn in self.turns.get(instance.id, ()):
            if turn.began > admission.ended:
                break
            if turn.ended >= admission.began:
                return None
            online = turn.opened
        return online


def _end(instance: Instance) -> float:
    assert instance.gone is not None
    return instance.gone.at


def shows(seen: Iterable[frozenset[str]], states: list[frozenset[str]]) -> bool:
    """Whether each that was seen is one of the states, and none an earlier one than that before it."""
    at = 0
    for each in seen:
        while at < len(states) and states[at] != each:
            at += 1
        if at == len(states):
            return False
    return True
