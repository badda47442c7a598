"""The page of the audit: what it finds, what it watches, and what it exports."""

from __future__ import annotations

import csv
import json
import re
import secrets
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.support.console import Operator, open_console, sign_in
from tests.support.server import VIEWER_TOKEN, Server
from tests.support.wire import Answer, log_in, post_login
from tests.web.conftest import NewWindow


@pytest.fixture
def viewer(roomy: Server) -> Operator:
    return sign_in(roomy, VIEWER_TOKEN)


@pytest.fixture
def user() -> str:
    """An account of this test alone, by whose name a spreadsheet would compute."""
    return f"=user-{secrets.token_hex(4)}"


def finds(operator: Operator, **where: str) -> Answer:
    answer = operator.gets(f"/audit?{urlencode(where)}")
    assert answer.status == 200, answer.body
    return answer


def kinds(answer: Answer) -> list[str]:
    return re.findall(r'data-kind="([^"]+)"', answer.body)


def test_what_happened_to_an_account_is_found_by_its_name(roomy: Server, viewer: Operator, user: str) -> None:
    tab = log_in(roomy, user)
    tab.posts("logout")
    assert post_login(roomy, user, "wrong").status == 401
    assert sorted(kinds(finds(viewer, userID=user))) == ["login", "logout", "refused"]
    assert kinds(finds(viewer, userID=user, kind="refused")) == ["refused"]
    assert "<code>70003</code>" in finds(viewer, userID=user, kind="refused").body
    assert kinds(finds(viewer, userID=user, address="192.0.2.9")) == []
    assert kinds(finds(viewer, userID=user, since="2020-01-01T00:00", until="2020-01-02T00:00")) == []


def test_pages_go_on_where_the_one_before_ended(roomy: Server, viewer: Operator, user: str) -> None:
    for _ in range(60):
        post_login(roomy, user, "")
    first = finds(viewer, userID=user)
    link = re.search(r'id="older" class="[^"]+" href="/console([^"]+)"', first.body)
    assert link is not None
    second = viewer.gets(link[1].replace("&amp;", "&"))
    ids = [re.findall(r'<tr id="entry-([^"]+)"', page.body) for page in (first, second)]
    assert [len(each) for each in ids] == [50, 10]
    assert not set(ids[0]) & set(ids[1])


@pytest.mark.parametrize(
    ("name", "value"),
    [("userID", "no blanks"), ("kind", "nothing"), ("since", "yesterday"), ("until", "99999-01-01"),
     ("since", "1969-01-01"), ("until", "0001-01-01T00:00"), ("until", "9999-12-31T23:59"), ("before", "x"),
     ("before", "0-0"), ("before", "1-9223372036854775808"), ("before", "9223372036854775808-1"), ("before", "١-١")],
)  # fmt: skip
def test_a_filter_that_cannot_be_used_is_named_and_what_was_typed_stays(
    viewer: Operator, name: str, value: str
) -> None:
    for path in ("/audit", "/audit/entries", "/audit/export"):
        answer = viewer.gets(f"{path}?{urlencode({name: value, 'address': '192.0.2.7'})}")
        if (path, name) == ("/audit/export", "before"):
            continue  # an export has no pages
        assert answer.status == 400
        assert name in answer.body or name == "before"
        assert path != "/audit" or 'value="192.0.2.7"' in answer.body


def test_an_export_has_what_is_found_and_no_formula(roomy: Server, viewer: Operator, user: str) -> None:
    log_in(roomy, user).posts("logout")
    exported = viewer.gets(f"/audit/export?{urlencode({'userID': user, 'form': 'csv'})}")
    assert exported.header("Content-Type").startswith("text/csv")
    assert exported.header("Content-Disposition").startswith("attachment; ")
    rows = list(csv.DictReader(exported.body.splitlines()))
    assert [(row["kind"], row["user"]) for row in rows] == [("logout", f"'{user}"), ("login", f"'{user}")]
    exported = viewer.gets(f"/audit/export?{urlencode({'userID': user, 'form': 'jsonl'})}")
    entries = [json.loads(line) for line in exported.body.splitlines()]
    assert [(entry["kind"], entry["user"]) for entry in entries] == [("logout", user), ("login", user)]
    assert viewer.gets("/audit/export?form=xml").status == 400


def test_what_is_watched_shows_without_a_reload(roomy: Server, new_window: NewWindow, user: str) -> None:
    page = open_console(new_window(), roomy, path=f"/audit?{urlencode({'userID': user, 'watch': '1'})}")
    expect(page.locator("tr.none")).to_be_visible()
    log_in(roomy, user)
    expect(page.locator("tr[data-kind=login]")).to_be_visible()
    page.click("#stop-watching")
    expect(page.locator("#watch")).to_be_visible()
    with page.expect_download() as download:
        page.click("#export-csv")
    assert download.value.suggested_filename.endswith(".csv")
