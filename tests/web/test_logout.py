"""Logging out ends one instance, for good, and leaves nothing behind in its browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.support.server import Server
from tests.support.wire import get, log_in, path_of, post_login
from tests.web.conftest import MakePerson, NewWindow


def test_logging_out_leads_to_the_login_page_and_clears_the_cookie(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    id = tab.instance
    tab.logs_out()
    expect(tab.page.locator("#userID")).to_have_value(alice.user_id)
    assert not [cookie for cookie in alice.window.cookies() if cookie.get("path") == f"/im/{id}"]
    assert "kickedOut" not in tab.events()


def test_logging_out_leaves_the_other_tabs(shared_server: Callable[[int], Server], person: MakePerson) -> None:
    alice = person("alice", on=shared_server(2))
    stays, leaves = alice.logs_in("stays"), alice.logs_in("leaves")
    stays.lists("online", "online")
    leaves.logs_out()
    stays.lists("online")
    stays.stays("ready", 0.5)
    assert stays.events() == ["sdkStateReady"]


def test_logging_out_twice_is_logging_out_once(roomy: Server) -> None:
    stays, leaves = log_in(roomy, "twice"), log_in(roomy, "twice")
    stream, line = stays.goes_online(), leaves.goes_online()
    assert line.status == 101
    for _ in range(3):
        answer = leaves.posts("logout")
        assert answer.status == 303
        assert path_of(answer.location) == "/login?userID=twice"
        assert answer.cookies() == {"tab": ""}
    assert line.is_closed() == 4005
    assert stays.instances() == {stays.instance: "online"}
    assert stream.code is None


def test_no_request_of_a_logged_out_tab_works(roomy: Server) -> None:
    stays, leaves = log_in(roomy, "finished"), log_in(roomy, "finished")
    stream = stays.goes_online()
    leaves.goes_online()
    leaves.posts("logout")
    for answer in (
        leaves.gets(),
        leaves.posts("messages", {"to": "finished", "text": "one more thing"}),
        leaves.posts(f"instances/{stays.instance}/logout"),
    ):
        assert answer.status == 303
        assert path_of(answer.location).startswith("/login?")
    assert leaves.attaches().is_closed() == 4005
    assert stays.instances() == {stays.instance: "online"}
    assert not any("one more thing" in frame for frame in stream.frames)


def test_back_after_logging_out_shows_nothing_private(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    tab.sends(alice.user_id, "for my eyes only")
    tab.reads("for my eyes only")
    tab.logs_out()
    tab.page.go_back()
    tab.is_on_the_login_page()
    expect(tab.page.locator("body")).not_to_contain_text("for my eyes only")
    tab.page.go_forward()
    tab.is_on_the_login_page()


def test_back_after_a_kick_shows_nothing_private(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    tab.sends(alice.user_id, "for my eyes only")
    tab.reads("for my eyes only")
    alice.logs_in_by_script()
    tab.is_kicked_out("multipleAccount")
    tab.page.go_back()
    tab.is_on_the_login_page()
    expect(tab.page.locator("body")).not_to_contain_text("for my eyes only")


def test_a_tab_signed_out_from_another_one_is_told_so(
    shared_server: Callable[[int], Server], person: MakePerson
) -> None:
    alice = person("alice", on=shared_server(2))
    here, there = alice.logs_in("here"), alice.logs_in("there")
    here.lists("online", "online")
    here.signs_out(there)
    notice = there.is_signed_out()
    expect(notice).to_contain_text("another session")
    expect(notice.locator(".by-browser")).to_contain_text("on Linux")
    expect(notice.locator(".by-address")).to_have_text("127.0.0.1")
    assert there.events() == ["sdkStateReady", "sdkStateNotReady"]
    here.lists("online")
    here.stays("ready", 0.5)
    # It can log in again from there, and has a new instance.
    there.page.fill("#userSig", alice.server.user_sig(alice.user_id))
    there.page.click("#login")
    there.is_ready()
    here.lists("online", "online")


def test_both_pages_of_a_duplicated_tab_end_with_its_logout(person: MakePerson) -> None:
    alice = person("alice")
    tab = alice.logs_in()
    copy = alice.opens(f"/im/{tab.instance}/", "copy")
    copy.is_ready()
    tab.has_moved()
    script = tab.as_script()
    tab.logs_out()
    copy.is_on_the_login_page()
    assert script.attaches().is_closed() == 4005


def test_one_account_cannot_sign_out_another(server: Server) -> None:
    mallory, victim = log_in(server, "mallory"), log_in(server, "victim")
    mallory.goes_online()
    stream = victim.goes_online()
    for id in (victim.instance, "0" * 32, "nonsense"):
        answer = mallory.posts(f"instances/{id}/logout")
        assert answer.status < 500
    stream.hears_nothing(0.5)
    assert victim.instances() == {victim.instance: "online"}
    assert mallory.instances() == {mallory.instance: "online"}


def test_two_people_in_two_browsers_log_out_for_themselves(person: MakePerson, new_window: NewWindow) -> None:
    alice, bob = person("alice", window=new_window()), person("bob", window=new_window())
    hers, his = alice.logs_in(), bob.logs_in()
    hers.logs_out()
    his.stays("ready", 0.5)


def test_a_login_in_the_same_tab_is_a_new_instance_and_the_old_one_is_dead(server: Server) -> None:
    old = log_in(server, "renewed")
    line = old.goes_online()
    sig = server.user_sig("renewed")
    new = post_login(server, "renewed", sig, cookie=f"{old.browser}; {old.cookie}")
    assert new.status == 303
    assert new.location != old.path
    assert line.is_closed() == 4001
    assert get(server, old.path, cookie=old.cookie).location.startswith("/login")
