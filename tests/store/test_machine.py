"""Any story of logins, reloads, closed tabs, logouts, messages and passing time, told to a store and to a model.

The model knows `tim.rules` and nothing else: who is live is a list, time is a number, and what a store has to
answer follows from the rules. After each step the two must agree, and these hold: never more live than allowed;
logins - logouts - expiries - aways - evictions + returns = live; an end that is final stays as it is.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.actors import APP, DAY, GRACE, Clock, new_id, newcomer
from tests.support.engines import ENGINES, NODES, Engine
from tim.audit import NOT_ME, SEATED, UNSEATED, AuditFilter
from tim.ends import AWAY, LOGGED_OUT, TYPES, UNKNOWN, Client, Gone
from tim.errors import (
    AccountBlocked,
    InstanceGone,
    NoSuchAccount,
    NoSuchInstance,
    NotReady,
    SettingsChanged,
)
from tim.model import Account, AppSettings, Block, Choice, Instance, Limits, Message, View
from tim.rules import (
    ASK,
    EVICT,
    NEWEST,
    REJECT,
    REMEMBERED,
    check_displaced,
    disowned,
    distinct_id,
    ended,
    making_room,
    said_since,
)
from tim.seat_errors import AtLimit, NotDisplaced
from tim.state_change import LOGIN

USERS = ("alice", "bob")
SOMEBODY = Client("Chrome", "198.51.100.1")


class Stories(RuleBasedStateMachine):
    """One store, and the model of it."""

    tabs = Bundle("tabs")
    sent = Bundle("sent")
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = Clock()
        self.store = self.engine.open(Path(self.folder.name), self.clock)
        self.limit = 1
        self.before: dict[str, int] = {}  # how many were live when the limit was last set
        self.model: dict[str, Instance] = {}  # by id; `gone` as soon as the rules say so
        self.node: dict[str, str] = {}  # who has its stream open, also after its end, until it is detached
        self.asked: dict[str, Instance] = {}  # what each was admitted with
        self.exists: set[str] = set()
        self.logs: dict[str, list[Message]] = {user: [] for user in USERS}
        self.numbers: Counter[str] = Counter()
        self.read: Counter[str] = Counter()  # up to which number each account has read
        self.final: set[str] = set()  # were away and have been refused since: they cannot return any more
        self.forgotten: set[str] = set()
        self.newest: Counter[str] = Counter()  # the largest generation of each account
        self.count: Counter[str] = Counter()
        self.reported: Counter[str] = Counter()  # instances that the events of each account leave online
        self.store.queue_events(APP, True)
        self.saved: AppSettings | None = None
        self.blocks: dict[str, Block] = {}
        self.revoked: Counter[str] = Counter()  # before when UserSigs of each account are
        self.said_at: dict[str, float] = dict.fromkeys(USERS, 0)  # when each account has said "that wasn't me" last

    def teardown(self) -> None:
        """Whatever happened: once all have gone and time has passed, nothing is left."""
        self.the_audit_alone_says_who_is_logged_in()
        for id, instance in self.model.items():
            self.store.detach(id, instance.stream)
        for _ in range(3):
            self.clock.advance(30 * DAY)
            self.store.sweep()
        for id in self.asked:
            assert self.store.get(id).gone == Gone(UNKNOWN, self.clock())
        for user in USERS:
            assert self.store.history(APP, user, 0, 1000) == []
            assert self.store.instances(APP, user) == []
        for node in NODES:
            assert self.store.renew(node) == []
        assert self.store.event_queue(APP).dropped == 0
        self.store.close()
        self.folder.cleanup()

    def the_audit_alone_says_who_is_logged_in(self) -> None:
        """Once what time has ended is written down."""
        self.store.sweep()
        for user in USERS:
            entries = self.store.audit(APP, AuditFilter(user), limit=1000).entries
            seats: set[str] = set()
            for entry in reversed(entries):
                if entry.kind in SEATED:
                    assert entry.instance not in seats
                    seats.add(entry.instance)
                elif entry.instance and entry.kind != NOT_ME:
                    assert entry.kind in UNSEATED
                    seats.discard(entry.instance)
            assert seats == {instance.id for instance in self.live(user)}
        kinds = self.store.counters(APP)
        assert kinds.get("login:", 0) == self.count["logins"]
        assert kinds.get("returned:", 0) == self.count["returns"]
        assert kinds.get("away:away", 0) == self.count["aways"]
        assert kinds.get("not-me:", 0) == self.count["disownings"]

    # The model

    def live(self, user: str) -> list[Instance]:
        return sorted(
            (each for each in self.model.values() if each.user == user and each.gone is None),
            key=lambda each: each.generation,
        )

    def remaining(self, user: str) -> list[Instance]:
        """Those that are live, and those that are away and may come back."""
        return self.live(user) + [
            each
            for each in self.model.values()
            if each.user == user and each.gone is not None and each.gone.reason == AWAY and each.id not in self.final
        ]

    def end(self, instance: Instance, gone: Gone) -> None:
        self.model[instance.id] = replace(instance, gone=gone)

    def time_has_passed(self) -> None:
        """Whose time is over has ended, whether a store has written it down or not."""
        for instance in list(self.model.values()):
            gone = ended(instance, now=self.clock(), grace=GRACE)
            if instance.gone is None and gone is not None:
                self.count["aways" if gone.reason == AWAY else "expiries"] += 1
                self.end(instance, gone)
        for user in USERS:
            self.logs[user] = [each for each in self.logs[user] if each.time >= self.clock() - REMEMBERED]

    def acted(self, instance: Instance) -> Instance:
        """The instance, which has just done something itself."""
        return replace(instance, active_at=self.clock()) if instance.idle_life else instance

    def block(self, user: str) -> Block | None:
        block = self.blocks.get(user)
        return None if block is None or (block.until is not None and block.until <= self.clock()) else block

    # The story

    @initialize(limit=st.sampled_from([1, 1, 2, 3]))
    def the_app_allows(self, limit: int) -> None:
        self.limit = limit

    @rule(limit=st.sampled_from([1, 1, 2, 3]))
    def the_app_allows_another_number(self, limit: int) -> None:
        """Which evicts nobody until the next login."""
        self.limit = limit
        self.before = {user: len(self.live(user)) for user in USERS}

    # Few tabs, so that much happens to each of them.
    @precondition(lambda self: len(self.asked) < 7)
    @rule(
        target=tabs,
        user=st.sampled_from([*USERS, "alice"]),
        life=st.sampled_from([50.0, 130.0, 3 * DAY, 20 * DAY, 20 * DAY]),
        browser=st.sampled_from(["Firefox", "Chrome"]),
        skew=st.sampled_from([0, -3600, 3600]),
        lives=st.tuples(st.sampled_from([0, 0, 90, 2 * DAY]), st.sampled_from([0, 0, 40, 3000])),
        policy=st.sampled_from([EVICT, EVICT, REJECT, ASK]),
        chosen=st.lists(st.integers(0, 3), max_size=4),
    )
    def logs_in(
        self,
        user: str,
        life: float,
        browser: str,
        skew: float,
        *,
        lives: tuple[float, int],
        policy: str,
        chosen: list[int],
    ) -> object:
        now = self.clock()
        session_life, idle_life = lives
        asked = replace(
            newcomer(user, browser=browser, expires=now + life, since=now + skew),
            lasts_until=session_life and now + skew + session_life,
            idle_life=idle_life,
        )
        if (block := self.block(user)) is not None:
            with pytest.raises(AccountBlocked) as refused:
                self.store.admit(asked, self.limit)
            assert refused.value.block == block
            return multiple()
        live = self.live(user)
        ids = tuple(each.id for each in live)
        choice = Choice(ids, frozenset(id for n, id in enumerate(ids) if n in chosen)) if chosen else None
        try:
            out = making_room(live, self.limit, policy, choice)
        except AtLimit:
            with pytest.raises(AtLimit) as full:
                self.store.admit(asked, self.limit, policy=policy, choice=choice)
            assert (full.value.instances, full.value.limit) == (live, self.limit)
            return multiple()
        admitted, evicted = self.store.admit(asked, self.limit, policy=policy, choice=choice)
        number = admitted.generation
        assert admitted == replace(
            asked,
            since=now,
            detached_at=now,
            active_at=now,
            lasts_until=session_life and now + session_life,
            generation=number,
            ordinal=number,
        )
        assert admitted.generation > self.newest[user]
        # Who is away may be written down on this occasion; it is not evicted by it.
        assert [each.id for each in evicted] == [each.id for each in out]
        for old, gone in zip(out, evicted, strict=True):
            assert gone.gone == Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, now, asked.client)
            self.end(old, gone.gone)
        self.before.pop(user, None)
        self.count["logins"] += 1
        self.count["evictions"] += len(out)
        self.newest[user] = admitted.generation
        self.model[asked.id] = admitted
        self.asked[asked.id] = asked
        self.exists.add(user)
        return asked.id

    @rule(id=tabs)
    def logs_in_again_as_the_answer_was_lost(self, id: str) -> None:
        if id in self.model:
            admitted, evicted = self.store.admit(self.asked[id], self.limit)
            assert evicted == []
            assert (admitted.id, admitted.generation) == (id, self.model[id].generation)

    def shows_what_the_model_says(self, view: View, after: int) -> None:
        """A view of an instance that has just been opened or read."""
        user = view.instance.user
        assert view.instances == self.live(user)
        assert (view.newest, view.read_seq) == (self.numbers[user], self.read[user])
        log = [each for each in self.logs[user] if each.seq > min(after, self.read[user])]
        assert view.messages[-len(log) or 1000 :] == log

    @rule(id=tabs, most=st.sampled_from([0, 2, 1000]))
    def shows_its_page(self, id: str, most: int) -> None:
        before = self.model.get(id)
        if before is None or id in self.final or (before.gone is not None and before.gone.reason != AWAY):
            with pytest.raises(InstanceGone) as refused:
                self.store.view(id, most)
            assert refused.value.instance == self.store.get(id)
        else:
            view = self.store.view(id, most)
            assert view.instance == self.store.get(id)
            assert view.messages == self.store.history(APP, before.user, 0, most)
            self.shows_what_the_model_says(replace(view, messages=self.store.history(APP, before.user, 0, 1000)), 0)

    @rule(user=st.sampled_from(USERS), seq=st.integers(0, 5))
    def reads_its_messages(self, user: str, seq: int) -> None:
        self.store.mark_read(APP, user, seq)
        self.read[user] = max(self.read[user], min(seq, self.numbers[user]))

    @rule(id=tabs, node=st.sampled_from(NODES), after=st.sampled_from([0, 0, 1, 3, NEWEST]))
    def opens_its_stream(self, id: str, node: str, after: int) -> None:
        before = self.model.get(id)
        if before is None:
            self.is_refused(id, {UNKNOWN}, node)
            return
        expired = before.ends_at <= self.clock()
        room = not expired and len(self.live(before.user)) < self.limit
        may_return = before.gone is not None and before.gone.reason == AWAY and id not in self.final
        if before.gone is None or (may_return and room):
            view = self.store.attach(id, node, self.limit, after, 1000)
            attached = view.instance
            assert attached.stream > before.stream
            if before.gone is None:
                opened = replace(before, stream=attached.stream, detached_at=None, node=node)
                assert attached == self.acted(opened)
            else:
                assert attached.generation > self.newest[before.user]
                assert (attached.id, attached.user, attached.online) == (id, before.user, True)
                assert attached.active_at == self.acted(before).active_at
                self.newest[before.user] = attached.generation
                self.count["returns"] += 1
            self.model[id] = attached
            self.node[id] = node
            assert view.returned is (before.gone is not None)
            self.shows_what_the_model_says(view, after)
        elif may_return:
            reasons = {TYPES.KICKED_OUT_MULT_ACCOUNT}
            if expired:
                reasons |= {AWAY, TYPES.KICKED_OUT_USERSIG_EXPIRED}
            gone = self.is_refused(id, reasons, node)
            self.end(before, replace(gone, at=before.gone.at))
            self.final.add(id)  # whichever it was, it stays so
        else:
            self.is_refused(id, {before.gone.reason}, node)

    def is_refused(self, id: str, reasons: set[str], node: str) -> Gone:
        with pytest.raises(InstanceGone) as refused:
            self.store.attach(id, node, self.limit)
        assert refused.value.gone.reason in reasons
        return refused.value.gone

    @rule(id=tabs, node=st.sampled_from(NODES), older=st.integers(0, 2))
    def its_node_opens_it_again_that_was_held_to_be_dead(self, id: str, node: str, older: int) -> None:
        """It knows of the newest stream, or of an older one."""
        before = self.model.get(id)
        if before is None or before.stream < older:
            return
        if older and (before.gone is None or (before.gone.reason == AWAY and id not in self.final)):
            assert self.store.attach_again(id, node, self.limit, before.stream - older) is None
        elif before.gone is None:
            attached = self.store.attach_again(id, node, self.limit, before.stream)
            assert attached == replace(before, stream=before.stream + 1, detached_at=None, node=node)
            self.model[id] = attached
            self.node[id] = node
        elif before.gone.reason != AWAY or id in self.final:
            with pytest.raises(InstanceGone) as refused:
                self.store.attach_again(id, node, self.limit, before.stream - older)
            assert refused.value.gone.reason == before.gone.reason or id in self.final

    @rule(id=tabs, other=tabs)
    def signs_another_one_out(self, id: str, other: str) -> None:
        mine, target = self.model.get(id), self.model.get(other)
        if mine is None or mine.gone is not None:
            with pytest.raises(InstanceGone):
                self.store.sign_out(id, other)
        elif target is None or target.user != mine.user:
            with pytest.raises(NoSuchInstance):
                self.store.sign_out(id, other)
        elif other in self.final or (target.gone is not None and target.gone.reason != AWAY):
            assert self.store.sign_out(id, other) is None
            self.model[id] = self.acted(mine)
        else:
            ended_by = self.store.sign_out(id, other)
            assert ended_by is not None
            self.model[id] = self.acted(mine)
            assert ended_by.gone == Gone(LOGGED_OUT, self.clock(), mine.client)
            self.count["logouts"] += target.gone is None
            self.end(target, ended_by.gone)

    @rule(id=tabs)
    def signs_all_others_out(self, id: str) -> None:
        mine = self.model.get(id)
        if mine is None or mine.gone is not None:
            with pytest.raises(InstanceGone):
                self.store.sign_out_others(id)
            return
        others = {each.id for each in self.remaining(mine.user)} - {id}
        ended = self.store.sign_out_others(id)
        assert {each.id for each in ended} == others
        self.model[id] = self.acted(mine)
        for other in others:
            self.count["logouts"] += self.model[other].gone is None
            self.end(self.model[other], Gone(LOGGED_OUT, self.clock(), mine.client))

    @rule(id=tabs, name=st.sampled_from(["my laptop", "手机", ""]))
    def gets_a_name(self, id: str, name: str) -> None:
        before = self.model.get(id)
        if before is None or before.gone is not None:
            with pytest.raises(InstanceGone):
                self.store.rename(id, name)
        else:
            self.model[id] = replace(self.acted(before), name=name)
            assert self.store.rename(id, name) == self.model[id]

    @rule(id=tabs, other=tabs)
    def says_it_was_me_of_another_one(self, id: str, other: str) -> None:
        mine, target = self.model.get(id), self.model.get(other)
        if mine is None or mine.gone is not None:
            with pytest.raises(InstanceGone):
                self.store.vouch(id, other)
            return
        if target is None or target.user != mine.user:
            with pytest.raises(NoSuchInstance):
                self.store.vouch(id, other)
            return
        vouched = self.store.vouch(id, other)
        self.model[id] = self.acted(mine)
        if target.gone is None:
            by = min(mine.ordinal, target.vouched or mine.ordinal)
            self.model[other] = replace(self.model[other], vouched=by)
            assert vouched == self.model[other]
        else:
            assert vouched is None

    @rule(id=tabs)
    def says_that_wasnt_me(self, id: str) -> None:
        mine = self.model.get(id)
        if mine is None:
            with pytest.raises(InstanceGone):
                self.store.disown(id)
            return
        try:
            # The store alone knows since when one that came back in vain was displaced.
            displaced = self.store.get(id)
            check_displaced(displaced.gone, self.clock())
        except NotDisplaced:
            if not mine.disowned:
                with pytest.raises(NotDisplaced):
                    self.store.disown(id)
                return
        said_at = self.said_at[mine.user]
        since = said_since(displaced, said_at)
        younger = disowned(displaced, self.remaining(mine.user), said_at)
        done = self.store.disown(id)
        assert done.again is (mine.disowned or (since and not younger))
        if done.again:
            assert done.ended == []
            return
        assert [each.id for each in done.ended] == [each.id for each in younger]
        for each in done.ended:
            assert each.gone == Gone(TYPES.KICKED_OUT_REST_API, self.clock(), mine.client)
            self.count["kicks"] += self.model[each.id].gone is None
            self.end(self.model[each.id], each.gone)
        self.model[id] = replace(mine, disowned=True)
        self.count["disownings"] += 1
        if not since:
            self.said_at[mine.user] = self.clock()
            self.revoked[mine.user] = math.floor(self.clock()) + 1

    @rule(id=tabs)
    def its_connection_is_to_be_cut(self, id: str) -> None:
        before = self.model.get(id)
        assert self.store.cut(id) == (before if before is not None and before.online else None)

    @rule(id=tabs)
    def closes_its_stream(self, id: str) -> None:
        before = self.model.get(id)
        if before is None:
            assert self.store.detach(id, 1) is False
            return
        detached = self.store.detach(id, before.stream)
        self.node.pop(id, None)
        if before.gone is None:
            assert detached is before.online
        if before.online:
            self.model[id] = replace(before, detached_at=self.clock(), node="")

    @rule(id=tabs, seconds=st.sampled_from([GRACE, GRACE + 40, GRACE + DAY]))
    def closes_its_stream_and_stays_away(self, id: str, seconds: float) -> None:
        self.closes_its_stream(id)
        self.time_passes(seconds)

    @rule(id=tabs, older=st.integers(1, 3))
    def an_older_stream_closes_late(self, id: str, older: int) -> None:
        before = self.model.get(id)
        if before is not None and before.stream - older >= 0:
            assert self.store.detach(id, before.stream - older) is False

    @rule(id=tabs, reason=st.sampled_from([LOGGED_OUT, TYPES.KICKED_OUT_REST_API]), by=st.none() | st.just(SOMEBODY))
    def is_logged_out_or_kicked(self, id: str, reason: str, by: Client | None) -> None:
        before = self.model.get(id)
        removed = self.store.remove(id, Gone(reason, 0, by))
        if before is None or id in self.final or (before.gone is not None and before.gone.reason != AWAY):
            assert removed is None
            return
        assert removed is not None
        assert removed.gone == Gone(reason, self.clock(), by)
        self.count["logouts"] += before.gone is None
        self.end(before, removed.gone)

    @rule(seconds=st.sampled_from([1.0, 20.0, 49.0, GRACE - 1, GRACE, 3600.0, DAY, 8 * DAY]))
    def time_passes(self, seconds: float) -> None:
        self.events_are_delivered()
        self.clock.advance(seconds)
        self.time_has_passed()

    def events_are_delivered(self) -> None:
        """Before they are a day old."""
        for user in USERS:
            while (event := self.store.take_event(APP, user, "sender", 10)) is not None:
                self.reported[user] += 1 - event.kicked if event.action == LOGIN else -1
                assert self.reported[user] >= 0
                self.store.event_sent(APP, user, "sender", event.id)

    @rule()
    def somebody_sweeps(self) -> None:
        for instance in self.store.sweep():
            known = self.model[instance.id].gone
            assert known is not None
            assert instance.gone == known, "a sweep ends nobody whose time is not over, and for no other reason"
        self.events_are_delivered()
        for user in USERS:
            assert self.reported[user] == len(self.live(user)), "after a sweep the events say who is online"
        for node in NODES:
            told = {each.id: each.gone and each.gone.reason for each in self.store.renew(node)}
            ended_here = {
                id: instance.gone.reason
                for id, instance in self.model.items()
                if instance.gone is not None and self.node.get(id) == node
            }
            assert told == ended_here, "after a sweep each node hears which of its streams have to end"
        old = self.clock() - REMEMBERED
        for id, instance in list(self.model.items()):
            if instance.gone is None or instance.gone.at >= old or id in self.node:
                continue
            if self.store.get(id).gone == Gone(UNKNOWN, self.clock()):
                del self.model[id]
                self.forgotten.add(id)

    def is_written(self, user: str, message: Message | None, expected: Message) -> None:
        """A message that the store has added to a log. It counts as read where its account is there to read it."""
        self.numbers[user] += 1
        assert message == replace(expected, seq=self.numbers[user])
        self.logs[user].append(message)
        if user == message.sender or any(each.online for each in self.live(user)):
            self.read[user] = message.seq

    @rule(target=sent, id=tabs, to=st.sampled_from([*USERS, "nobody"]))
    def says_something(self, id: str, to: str) -> tuple[str, str, str]:
        message_id = new_id()
        sender = self.model.get(id)
        if sender is None or (sender.gone is not None and (sender.gone.reason != AWAY or id in self.final)):
            with pytest.raises((InstanceGone, NotReady)) as refused:
                self.store.append(APP, id, to, "hello", message_id)
            if isinstance(refused.value, InstanceGone):
                reason = UNKNOWN if sender is None or sender.gone is None else sender.gone.reason
                assert refused.value.gone.reason == reason
            else:
                assert sender is not None
                assert sender.gone is not None
                assert sender.gone.reason == AWAY
        elif not sender.online:
            with pytest.raises(NotReady):
                self.store.append(APP, id, to, "hello", message_id)
        elif to not in self.exists:
            with pytest.raises(NoSuchAccount):
                self.store.append(APP, id, to, "hello", message_id)
        else:
            mine, theirs = self.store.append(APP, id, to, "hello", message_id)
            expected = Message(0, message_id, sender.user, to, "hello", self.clock(), id)
            for user, message in ((sender.user, mine), (to, theirs)):
                if user == sender.user and message is theirs:
                    assert message is None
                    continue
                self.is_written(user, message, expected)
            self.model[id] = self.acted(sender)
        return id, to, message_id

    @rule(message=sent)
    def says_it_again_as_the_answer_was_lost(self, message: tuple[str, str, str]) -> None:
        id, to, message_id = message
        sender = self.model.get(id)
        if sender is not None and sender.online:
            written = [each for each in self.logs[sender.user] if each.id == message_id]
            if written:
                mine, _ = self.store.append(APP, id, to, "hello", message_id)
                assert [mine] == written
                self.model[id] = self.acted(sender)

    @rule(message=sent, to=st.sampled_from(USERS), text=st.sampled_from(["hello", "goodbye"]))
    def says_something_else_under_the_same_id(self, message: tuple[str, str, str], to: str, text: str) -> None:
        id, _, message_id = message
        sender = self.model.get(id)
        if sender is None or not sender.online or to not in self.exists:
            return
        log = [each for each in self.logs[sender.user] if each.instance == id]
        if message_id not in [each.id for each in log]:
            return
        asked = Message(0, message_id, sender.user, to, text, self.clock(), id)
        ids = (message_id, distinct_id(asked))
        written = [each for each in log if each.id in ids and (each.to, each.text) == (to, text)]
        mine, theirs = self.store.append(APP, id, to, text, message_id)
        self.model[id] = self.acted(sender)
        if written:
            assert [mine] == written
            return
        for user, copy in ((sender.user, mine), (to, theirs)):
            if copy is not None:
                self.is_written(user, copy, replace(asked, id=distinct_id(asked)))
        assert (theirs is None) == (to == sender.user)

    @rule(seats=st.integers(1, 10), stale=st.sampled_from([0, 0, 1]))
    def an_operator_saves_settings(self, seats: int, stale: int) -> None:
        based_on = (self.saved.version if self.saved else 0) + stale
        new = AppSettings(Limits(seats), version=based_on)
        if stale:
            with pytest.raises(SettingsChanged) as refused:
                self.store.save_settings(APP, new, "console admin")
            assert refused.value.current == (self.saved or AppSettings())
        else:
            self.store.save_settings(APP, new, "console admin")
            self.saved = replace(new, version=based_on + 1, saved_at=self.clock(), saved_by="console admin")
        assert self.store.settings(APP) == self.saved

    @rule(user=st.sampled_from(USERS), seconds=st.sampled_from([None, 30.0, DAY]))
    def an_operator_blocks_an_account(self, user: str, seconds: float | None) -> None:
        now = self.clock()
        self.blocks[user] = Block(None if seconds is None else now + seconds, "spam", now, "console admin")
        ended = self.store.block(APP, user, self.blocks[user].until, "spam", "console admin")
        remaining = self.remaining(user)
        assert {each.id for each in ended} == {each.id for each in remaining}
        self.count["kicks"] += len(self.live(user))
        for each in remaining:
            self.end(each, Gone(TYPES.KICKED_OUT_REST_API, now))

    @rule(user=st.sampled_from(USERS))
    def an_operator_unblocks_an_account(self, user: str) -> None:
        assert self.store.unblock(APP, user, "console admin") is (self.block(user) is not None)
        self.blocks.pop(user, None)
        assert self.store.account(APP, user) == Account(user, user in self.exists, None, self.revoked[user])

    # What always holds

    @invariant()
    def the_store_knows_who_is_live_and_nobody_is_lost_or_counted_twice(self) -> None:
        in_all = 0
        for user in USERS:
            live = self.store.instances(APP, user)
            assert live == self.live(user)
            assert len(live) <= max(self.limit, self.before.get(user, 0))
            in_all += len(live)
        count = self.count
        gone = count["logouts"] + count["kicks"] + count["expiries"] + count["aways"] + count["evictions"]
        assert count["logins"] - gone + count["returns"] == in_all

    @invariant()
    def each_one_is_what_the_model_says_and_an_end_stays_as_it_is(self) -> None:
        for id, instance in self.model.items():
            known = self.store.get(id)
            assert (known.generation, known.stream, known.online) == (
                instance.generation,
                instance.stream,
                instance.online,
            )
            if instance.gone is None:
                assert known == instance
            else:
                assert known.gone is not None
                assert (known.gone.reason, known.gone.by) == (instance.gone.reason, instance.gone.by)
        for id in self.forgotten:
            assert self.store.get(id).gone == Gone(UNKNOWN, self.clock())

    @precondition(lambda self: any(self.logs.values()))
    @invariant()
    def each_log_has_all_its_messages_in_order(self) -> None:
        for user in USERS:
            assert self.store.history(APP, user, 0, 1000)[-len(self.logs[user]) or 1000 :] == self.logs[user]


def test_every_story_ends_as_the_rules_say(engine: Engine) -> None:
    machine = type("Stories", (Stories,), {"engine": engine})
    # Both engines of a kind decide by the same SQL or scripts, and a story in memory takes a tenth of the time.
    # `--rounds` tries more of them.
    stories = settings().max_examples * 2 if engine is ENGINES[0] else settings().max_examples // 3
    run_state_machine_as_test(machine, settings=settings(max_examples=stories, stateful_step_count=40))
