"""The page of live instances: found, kept up to date in place, selected and kicked, or all that match."""

from __future__ import annotations

import re
import secrets
import time
from datetime import datetime
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.support.console import Operator, open_console, sign_in
from tests.support.server import VIEWER_TOKEN, Server
from tests.support.waiting import until
from tests.support.wire import Answer, element, log_in, login_page_of
from tests.web.conftest import MakeServer, NewWindow
from tim.timing import Timing


@pytest.fixture
def admin(roomy: Server) -> Operator:
    return sign_in(roomy)


@pytest.fixture
def prefix() -> str:
    """What the accounts of one test begin with, and no others."""
    return f"list-{secrets.token_hex(4)}-"


def search(operator: Operator, **fields: str) -> Answer:
    return operator.gets(f"/instances?{urlencode(fields)}")


def listed(answer: Answer) -> list[str]:
    return re.findall(r'data-instance="([^"]+)"', answer.body)


def text(answer: Answer, id: str) -> str:
    found = element(answer.body, id)
    return "" if found is None else " ".join(found.text.split())


def polled(answer: Answer) -> str:
    """The address of the live part of a page."""
    found = re.search(r'hx-get="/console([^"]+)"', answer.body)
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_each_field_of_the_search_finds_what_it_says(admin: Operator, roomy: Server, prefix: str) -> None:
    tabs = [log_in(roomy, f"{prefix}{name}") for name in ("a", "b")]
    online = tabs[1].goes_online()
    a, b = (tab.instance for tab in tabs)
    both = search(admin, userID=prefix)
    assert listed(both) == [a, b]
    assert text(both, "number") == "2"
    node = re.search(r"node=([0-9a-f]{16})", both.body)
    assert node is not None
    minute = datetime.fromtimestamp(time.time() - 60).astimezone().strftime("%Y-%m-%dT%H:%M")
    later = datetime.fromtimestamp(time.time() + 120).astimezone().strftime("%Y-%m-%dT%H:%M")
    for fields, expected in (
        ({"userID": f"{prefix}a"}, [a]),
        ({"state": "online"}, [b]),
        ({"state": "detached"}, [a]),
        ({"browser": "UNKNOWN"}, [a, b]),
        ({"browser": "Netscape"}, []),
        ({"address": " 127.0.0.1 "}, [a, b]),
        ({"address": "127.0.0"}, []),
        ({"node": node[1]}, [b]),
        ({"since": minute}, [a, b]),
        ({"since": later}, []),
    ):
        found = search(admin, **{"userID": prefix} | fields)
        assert (listed(found), fields) == (expected, fields)
        assert text(found, "number") == str(len(expected))
    assert online.code is None


def test_one_whose_user_sig_never_ends_is_listed_like_all_others(admin: Operator, roomy: Server, prefix: str) -> None:
    user = f"{prefix}a"
    tab = log_in(roomy, user, roomy.user_sig(user, expire=2**52))
    assert listed(search(admin, userID=user)) == [tab.instance]
    assert listed(admin.gets(f"/accounts/{user}")) == [tab.instance]


@pytest.mark.parametrize(("field", "wrong"), [("since", "yesterday"), ("state", "asleep"), ("since", "9" * 40)])
def test_a_malformed_search_says_what_is_wrong_and_keeps_the_rest(field: str, wrong: str, admin: Operator) -> None:
    refused = search(admin, **{"userID": "al", field: wrong})
    assert refused.status == 400
    assert "choose one of" in refused.body or "such as 2030-12-31T23:59" in refused.body
    assert 'value="al"' in refused.body
    assert listed(refused) == []
    assert admin.gets(f"/instances/live?{urlencode({field: wrong})}").status == 400


def test_pages_follow_each_other_and_lead_back(admin: Operator, roomy: Server, prefix: str) -> None:
    instances = [log_in(roomy, f"{prefix}{n % 20:02d}").instance for n in range(51)]
    first = search(admin, userID=prefix)
    following = re.search(r'id="next" href="/console([^"]+)"', first.body)
    assert following is not None
    second = admin.gets(following[1].replace("&amp;", "&"))
    assert len(listed(first)) == 50
    assert sorted(listed(first) + listed(second)) == sorted(instances)
    assert 'id="next"' not in second.body
    assert "First page" in second.body
    assert len(polled(first)) < 3000, "shorter than the 4094 bytes that servers take"


def test_what_is_polled_changes_cells_and_says_how_many_are_new(admin: Operator, roomy: Server, prefix: str) -> None:
    stays, goes = (log_in(roomy, f"{prefix}{name}") for name in ("b", "d"))
    page = search(admin, userID=prefix)
    live = polled(page)
    assert text(admin.gets(live), "new") == ""
    stays.goes_online()
    goes.posts("logout")
    for name in ("a", "c", "e"):
        log_in(roomy, f"{prefix}{name}")
    changed = admin.gets(live)
    assert text(changed, f"state-{stays.instance}") == "online"
    assert text(changed, f"state-{goes.instance}") == "ended"
    assert text(changed, "new") == "3 new; show them"
    assert text(changed, "number") == "4"
    assert "<tr" not in changed.body, "no row comes or goes"


def test_a_page_that_shows_a_job_outlives_the_job(make_server: MakeServer) -> None:
    answer = sign_in(make_server()).gets("/instances/live?job=1")
    assert (answer.status, text(answer, "number")) == (200, "0")


def test_the_selected_are_kicked_and_their_users_read_why(admin: Operator, roomy: Server, prefix: str) -> None:
    tabs = [log_in(roomy, f"{prefix}{n}") for n in range(3)]
    streams = [tab.goes_online() for tab in tabs]
    form = {"userID": prefix, "words": "maintenance <3", "instance": tabs[1].instance}
    after = admin.posts("/instances/kick", form)
    assert after.status == 303
    page = admin.gets(after.location.removeprefix("/console"))
    assert "Kicked out: 1." in text(page, "done")
    assert listed(page) == [tabs[0].instance, tabs[2].instance]
    assert streams[1].is_closed() == 4004
    assert "maintenance &lt;3" in login_page_of(tabs[1])
    assert [stream.code for stream in (streams[0], streams[2])] == [None, None]


def test_a_kick_without_a_selection_or_with_too_long_a_reason_keeps_what_was_typed(
    admin: Operator, roomy: Server, prefix: str
) -> None:
    tab = log_in(roomy, f"{prefix}a")
    none = admin.posts("/instances/kick", {"userID": prefix, "words": "spam"})
    assert none.status == 400
    assert "select the instances" in text(none, "problem")
    assert 'value="spam"' in none.body
    long = {"userID": prefix, "words": "x" * 300, "instance": tab.instance}
    for path in ("/instances/kick", "/instances/review", "/instances/kick-all"):
        refused = admin.posts(path, long)
        assert refused.status == 400
        assert "x" * 300 in refused.body
        assert listed(refused) == [tab.instance]
        assert "checked" in refused.body


def test_all_that_match_are_kicked_after_their_number_was_shown(admin: Operator, roomy: Server, prefix: str) -> None:
    tabs = [log_in(roomy, f"{prefix}{n}") for n in range(4)]
    other = log_in(roomy, f"x{prefix}")
    form = {"userID": prefix, "words": "spam"}
    review = admin.posts("/instances/review", form)
    assert (review.status, text(review, "number")) == (200, "4")
    assert text(review, "confirm") == "Kick 4 instances"
    assert listed(search(admin, userID=prefix)), "nothing has happened yet"
    assert admin.posts("/instances/kick-all", form).status == 303
    until(lambda: not listed(search(admin, userID=prefix)), "they should be kicked")
    until(lambda: "Finished at" in text(search(admin), "job"), "it should say that it is done")
    assert "4 instances ended" in text(search(admin), "job")
    assert listed(search(admin, userID=f"x{prefix}")) == [other.instance]
    assert "spam" in login_page_of(tabs[0])


def test_one_instance_is_no_plural_and_none_has_no_kick(admin: Operator, roomy: Server, prefix: str) -> None:
    tab = log_in(roomy, f"{prefix}a")
    form = {"userID": prefix}
    review = admin.posts("/instances/review", form)
    assert "This ends 1 instance, at most" in " ".join(re.sub("<[^>]*>", "", review.body).split())
    assert text(review, "confirm") == "Kick 1 instance"
    live = polled(search(admin, userID=prefix))
    log_in(roomy, f"{prefix}0")
    assert text(admin.gets(live), "new") == "1 new; show it"
    admin.posts("/instances/kick", {"userID": prefix, "instance": listed(search(admin, userID=f"{prefix}0"))[0]})
    assert admin.posts("/instances/kick-all", form).status == 303
    until(lambda: "Finished at" in text(search(admin), "job"), "it should say that it is done")
    assert text(search(admin), "job").split("; ")[1].startswith("1 instance ended")
    words = element(admin.gets("/audit?kind=job").body, "entries")
    assert words and "kick 1 instance," in words.text
    late = admin.posts("/instances/kick", form | {"instance": tab.instance})
    assert "No instance was kicked" in text(admin.gets(late.location.removeprefix("/console")), "done")
    none = admin.posts("/instances/review", form)
    assert element(none.body, "confirm") is None
    assert "nothing to kick" in none.body


def test_a_job_shows_how_far_it_is_can_be_stopped_and_keeps_the_next_one_waiting(
    tmp_path_factory: pytest.TempPathFactory, prefix: str
) -> None:
    server = Server(tmp_path_factory.mktemp("slow"), timing=Timing(job_pause=600), ONLINE_WEB_INSTANCES="10").start()
    try:
        for n in range(55):
            log_in(server, f"{prefix}{n % 6}")
        admin, viewer = sign_in(server), sign_in(server, VIEWER_TOKEN)
        admin.posts("/instances/kick-all", {"userID": prefix})
        until(lambda: "50 of 55 instances ended" in text(search(admin), "job"), "it should have taken one step")
        waits = admin.posts("/instances/kick-all", {"userID": prefix})
        assert waits.status == 409
        assert "Another job runs" in text(waits, "busy")
        assert "stop-job" not in search(viewer).body
        job = re.search(r'name="job" value="([0-9a-f]+)"', search(admin).body)
        assert job is not None
        assert admin.posts("/job/stop", {"job": job[1]}).status == 303
        assert "Stopped by console admin" in text(search(admin), "job")
        assert len(listed(search(admin, userID=prefix))) == 5
    finally:
        server.stop()


def test_a_viewer_sees_the_list_and_nothing_to_press(roomy: Server, prefix: str) -> None:
    tab = log_in(roomy, f"{prefix}a")
    page = search(sign_in(roomy, VIEWER_TOKEN), userID=prefix)
    assert listed(page) == [tab.instance]
    assert "kick-selected" not in page.body
    assert 'type="checkbox"' not in page.body


def test_a_row_changes_where_it_is_and_stays_selected(roomy: Server, new_window: NewWindow, prefix: str) -> None:
    first, second = (log_in(roomy, f"{prefix}{name}") for name in ("b", "c"))
    page = open_console(new_window(), roomy, path=f"/instances?userID={prefix}")
    row = page.locator(f'[data-instance="{first.instance}"]')
    row.locator("input").check()
    page.fill("#words", "half a rea")
    before = row.bounding_box()
    stream = first.goes_online()
    log_in(roomy, f"{prefix}a")
    second.posts("logout")
    expect(page.locator(f"#state-{first.instance}")).to_have_text("online")
    expect(page.locator(f"#state-{second.instance}")).to_have_text("ended")
    expect(page.locator("#new")).to_have_text("1 new; show it")
    assert stream.code is None
    assert page.locator("tbody tr").count() == 2
    assert row.locator("input").is_checked()
    assert page.input_value("#words") == "half a rea"
    after = row.bounding_box()
    assert before is not None
    assert after is not None
    assert before["y"] == after["y"], "it has moved under the pointer"
    page.click("#new a")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_contain_text(f"{prefix}a")


def test_back_selects_no_instance_in_place_of_one_that_was_selected(
    roomy: Server, new_window: NewWindow, prefix: str
) -> None:
    selected = log_in(roomy, f"{prefix}b")
    page = open_console(new_window(), roomy, path=f"/instances?userID={prefix}")
    page.locator(f'[data-instance="{selected.instance}"] input').check()
    page.fill("#words", "spam")
    other = log_in(roomy, f"{prefix}a")
    page.goto(f"{roomy.address}/console/audit")
    page.go_back()
    expect(page.locator("#words")).to_have_value("spam")
    expect(page.locator(f'[data-instance="{other.instance}"] input')).not_to_be_checked()


@pytest.mark.parametrize(("path", "choice"), [("/instances", "state"), ("/audit", "kind")])
def test_back_shows_the_search_of_its_address(
    path: str, choice: str, roomy: Server, new_window: NewWindow, prefix: str
) -> None:
    page = open_console(new_window(), roomy, path=path)
    page.fill("#userID", prefix)
    page.select_option(f"#{choice}", index=1)
    page.locator("#userID").press("Enter")
    expect(page.locator("#userID")).to_have_value(prefix)
    page.go_back()
    expect(page.locator("#userID")).to_have_value("")
    expect(page.locator(f"#{choice}")).to_have_value("")


def test_a_whole_kick_by_keyboard_alone(roomy: Server, new_window: NewWindow, prefix: str) -> None:
    victim = log_in(roomy, f"{prefix}a")
    page = open_console(new_window(), roomy, path=f"/instances?userID={prefix}")
    page.focus("tbody input")
    page.keyboard.press("Space")
    page.focus("#words")
    page.keyboard.type("spam")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "kick-selected"
    page.keyboard.press("Enter")
    expect(page.locator("#done")).to_contain_text("Kicked out: 1.")
    assert "spam" in login_page_of(victim)
