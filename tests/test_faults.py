"""Faults on purpose: what an application sees of a kick, of a cut connection and of a service that knows nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.actors import APP, Person, allows
from tests.support.inside import hub_of, store_of
from tests.support.waiting import until
from tim import EVENT, TYPES, Backend, Client
from tim.ends import CLOSE_CUT, KICKS, UNKNOWN
from tim.errors import BadParameter, InstanceGone, NoSuchAccount
from tim.mailbox import End, Stream
from tim.model import Instance, Limits

CURL = Client("curl", "203.0.113.1")


@allows(2)
@pytest.mark.parametrize("type", sorted(KICKS))
def test_a_kick_of_each_type_ends_every_instance_of_the_account(
    type: str, backend: Backend, person: Callable[[str], Person]
) -> None:
    alice, bob = person("alice"), person("bob")
    tabs = [alice.logs_in("A"), alice.logs_in("B")]
    stays = bob.logs_in("A")
    ids = [instance.id for instance in alice.instances()]
    assert backend.faults().kick("alice", type, CURL) == 2
    for tab in tabs:
        tab.is_kicked_out(type)
    stays.is_ready()
    for id in ids:
        gone = backend.find(id).gone
        assert gone is not None
        by_another = type in (TYPES.KICKED_OUT_MULT_ACCOUNT, TYPES.KICKED_OUT_MULT_DEVICE)
        assert (gone.reason, gone.by) == (type, CURL if by_another else None)
    alice.logs_in("C")  # with a UserSig as old as the others


@allows(2)
def test_one_instance_is_chosen_by_the_number_of_its_login(backend: Backend, person: Callable[[str], Person]) -> None:
    alice = person("alice")
    first, second = alice.opens("A"), alice.opens("B")
    number = first.sdk.login("alice", alice.user_sig()).data["instanceID"]
    second.sdk.login("alice", alice.user_sig())
    second.is_ready()
    assert backend.faults().kick("alice", TYPES.KICKED_OUT_MULT_DEVICE, CURL, number) == 1
    first.is_kicked_out(TYPES.KICKED_OUT_MULT_DEVICE)
    alice.has_tabs("B")


def test_a_fault_that_cannot_be_caused_names_what_is_wrong(backend: Backend, person: Callable[[str], Person]) -> None:
    faults = backend.faults()
    person("alice").logs_in()
    for user, type, number, name in (
        ("alice", "kicked", None, "type"),
        ("alice", TYPES.KICKED_OUT_REST_API, 99, "userID"),
        ("nobody", TYPES.KICKED_OUT_REST_API, None, "userID"),
        ("al ice", TYPES.KICKED_OUT_REST_API, None, "userID"),
    ):
        with pytest.raises(BadParameter) as refused:
            faults.kick(user, type, CURL, number)
        assert refused.value.name == name
    with pytest.raises(BadParameter, match="nobody has no live instance; log in first"):
        faults.cut("nobody")


def test_an_instance_whose_connection_is_cut_comes_back_and_misses_nothing(
    backend: Backend, person: Callable[[str], Person]
) -> None:
    alice, bob = person("alice"), person("bob")
    tab, friend = alice.logs_in(), bob.logs_in()
    [before] = alice.instances()
    assert backend.faults().cut("alice") == 1
    friend.says("alice", "meanwhile")
    tab.hears(EVENT.SDK_READY, 2)
    tab.reads("meanwhile")
    assert len(tab.heard(EVENT.SDK_NOT_READY)) == 1
    assert tab.heard(EVENT.KICKED_OUT) == []
    [after] = alice.instances()
    assert (after.id, after.generation, after.stream > before.stream) == (before.id, before.generation, True)


def test_a_connection_is_cut_whichever_node_has_it(
    settled: Callable[[str], Backend], servers: object, open_stream: Callable[[Backend, Instance], Stream]
) -> None:
    here, there = (settled(servers.url) for _ in range(2))  # type: ignore[attr-defined]
    tab = here.login(APP, "alice", here.user_sig("alice"), CURL)
    stream, asked = open_stream(here, tab), []

    def is_cut() -> bool:
        asked.extend(stream.take())
        return End(CLOSE_CUT) in asked

    assert there.faults().cut("alice") == 1
    until(is_cut, "its connection stays")
    assert store_of(there).get(tab.id).online, "its node detaches it"


def test_a_store_in_memory_forgets_everything(
    make_backend: Callable[..., Backend], open_stream: Callable[[Backend, Instance], Stream]
) -> None:
    backend = make_backend(limit=2)
    backend.save_limits(Limits(3))
    tab = backend.login(APP, "alice", backend.user_sig("alice"), CURL)
    stream = open_stream(backend, tab)
    backend.send(tab.id, "alice", "hello")
    assert backend.faults().forget()
    [end] = [item for item in stream.take() if isinstance(item, End)]
    assert end.gone is not None
    assert end.gone.reason == UNKNOWN
    with pytest.raises(InstanceGone):
        backend.get(tab.id)
    assert backend.instances("alice") == []
    assert store_of(backend).history(APP, "alice", 0, 10) == []
    assert backend.admin().imported(["alice", "administrator"]) == {"administrator"}
    with pytest.raises(NoSuchAccount):
        backend.admin().kick("alice")
    backend.renew()
    assert backend.limits().online_web_instances == 2, "as at the start"
    hub_of(backend).close(stream)


def test_any_other_store_forgets_nothing(make_backend: Callable[..., Backend], tmp_path: object) -> None:
    backend = make_backend(f"sqlite:///{tmp_path}/tim.db")
    backend.login(APP, "alice", backend.user_sig("alice"), CURL)
    assert not backend.faults().forget()
    assert len(backend.instances("alice")) == 1
