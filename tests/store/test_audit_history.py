"""The audit alone tells who was logged in when: after any history, at any moment of it.

`--rounds 50` makes it a history of 10,000 operations.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random

from tests.support.actors import APP, GRACE, Clock, newcomer
from tim.audit import SEATED, UNSEATED, AuditFilter, Entry, order
from tim.audit_export import all_entries
from tim.ends import LOGGED_OUT, TYPES, Gone
from tim.errors import IMError
from tim.model import Instance
from tim.store.base import Store

USERS = tuple(f"user-{n}" for n in range(4))
OPERATIONS = 200
"""For one round."""


class History:
    """What happens to a few accounts by chance; `moments` has who was logged in after each operation, by the store."""

    def __init__(self, store: Store, clock: Clock, chance: Random) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._known: list[Instance] = []
        self.moments: list[tuple[float, set[str]]] = []

    def goes_on(self) -> None:
        """One operation, at a time of its own."""
        self._clock.advance(self._chance.choice([0.125, 0.5, 1, 7, 29, GRACE - 1, GRACE + 1, 1000]))
        acts = [self._login] * 4 + [self._attach] * 4 + [self._detach] * 4
        acts += [self._logout, self._sign_out, self._sign_out_others, self._disown]
        acts += [self._kick, self._delete, self._block, self._sweep]
        with suppress(IMError):  # a refusal is an operation too
            self._chance.choice(acts)()
        live = {each.id for user in USERS for each in self._store.instances(APP, user)}
        self.moments.append((self._clock(), live))

    def _some(self) -> Instance:
        """One of the newest instances, as the store has it."""
        if not self._known:
            self._login()
        return self._store.get(self._chance.choice(self._known[-12:]).id)

    def _login(self) -> None:
        life = self._chance.choice([30.0, 500.0, 1e6, 1e6])
        asked = newcomer(self._chance.choice(USERS), expires=self._clock() + life)
        admitted, _ = self._store.admit(asked, self._chance.randint(1, 3))
        self._known.append(admitted)

    def _attach(self) -> None:
        self._store.attach(self._some().id, "node-1", self._chance.randint(1, 3))

    def _detach(self) -> None:
        some = self._some()
        self._store.detach(some.id, some.stream)

    def _logout(self) -> None:
        self._store.remove(self._some().id, Gone(self._chance.choice([LOGGED_OUT, TYPES.KICKED_OUT_REST_API]), 0))

    def _sign_out(self) -> None:
        self._store.sign_out(self._some().id, self._some().id)

    def _sign_out_others(self) -> None:
        self._store.sign_out_others(self._some().id)

    def _disown(self) -> None:
        self._store.disown(self._some().id)

    def _kick(self) -> None:
        self._store.kick_account(APP, self._chance.choice(USERS))

    def _delete(self) -> None:
        self._store.delete_account(APP, self._chance.choice(USERS))

    def _block(self) -> None:
        user = self._chance.choice(USERS)
        self._store.block(APP, user, None, "", "console admin")
        self._store.unblock(APP, user, "console admin")

    def _sweep(self) -> None:
        self._store.sweep()


def replayed(entries: list[Entry], times: list[float]) -> list[set[str]]:
    """Who was logged in at each of these times, as the entries tell it."""
    told = sorted(entries, key=lambda entry: (entry.at, order(entry.id)))
    seats: set[str] = set()
    found = []
    nth = 0
    for time in times:
        while nth < len(told) and told[nth].at <= time:
            if told[nth].kind in SEATED:
                seats.add(told[nth].instance)
            elif told[nth].kind in UNSEATED:
                seats.discard(told[nth].instance)
            nth += 1
        found.append(set(seats))
    return found


def test_the_audit_alone_tells_who_was_logged_in_when(store: Store, clock: Clock, rounds: int) -> None:
    history = History(store, clock, Random(f"a history of {rounds}"))
    for _ in range(OPERATIONS * rounds):
        history.goes_on()
    store.sweep()  # writes down what time has ended
    entries = list(all_entries(lambda before: store.audit(APP, AuditFilter(), before, 1000)))
    assert len({entry.id for entry in entries}) == len(entries) > OPERATIONS * rounds / 5
    times = [time for time, _ in history.moments]
    assert replayed(entries, times) == [live for _, live in history.moments]
