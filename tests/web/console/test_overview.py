"""The overview: what the whole service does, the same from every process, in numbers, charts and a table."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.browser import MILLISECONDS
from tests.support.console import Operator, open_console, sign_in
from tests.support.displaced import Displaced
from tests.support.redis_server import RedisServer
from tests.support.waiting import until
from tests.support.wire import element, elements, log_in, post_login
from tests.web.conftest import MakeServer, NewWindow
from tim.timing import Timing

pytestmark = pytest.mark.usefixtures("not_quick")


def shown(operator: Operator, *ids: str) -> list[str]:
    """The texts of these elements of the live part."""
    body = operator.gets("/overview").body
    found = [element(body, id) for id in ids]
    return [each.text if each else "" for each in found]


def legend(operator: Operator, chart: str) -> dict[str, int]:
    """What a chart counts in the last hour, by its words."""
    body = operator.gets("/overview").body
    figure = re.search(rf'<figure id="chart-{chart}".*?</figure>', body, re.DOTALL)
    assert figure
    items = re.findall(r"<li>.*?</span> (.*?) <b>(\d+)</b></li>", figure[0])
    return {words: int(number) for words, number in items}


def test_every_process_shows_what_all_of_them_do(
    make_redis: Callable[..., RedisServer], make_server: MakeServer
) -> None:
    redis = make_redis()
    here, there = (make_server(STORE=redis.url, ONLINE_WEB_INSTANCES="2") for _ in range(2))
    operators = [sign_in(server) for server in (here, there)]
    tabs = [log_in(server, user) for server, user in ((here, "a"), (there, "a"), (there, "b"))]
    streams = [tab.goes_online() for tab in tabs]
    log_in(here, "b")  # and does not open its page
    log_in(here, "a")  # evicts the first one
    assert streams[0].is_closed() == 4001
    for server, user_sig in ((here, "nonsense"), (there, "nonsense"), (there, "")):
        assert post_login(server, "c", user_sig).status == 401
    tabs[2].posts("logout")
    for operator in operators:
        until(
            lambda operator=operator: shown(operator, "online", "detached") == ["1", "2"],  # type: ignore[misc]
            lambda operator=operator: f"shown: {shown(operator, 'online', 'detached')}",  # type: ignore[misc]
        )
        assert legend(operator, "logins") == {"logged in": 5, "came back after the grace time": 0, "refused": 3}
        assert legend(operator, "refusals") == {"70003 cannot be read": 2, "70002 empty": 1}
        assert legend(operator, "ends")["evicted at the limit"] == 1
        assert legend(operator, "instances") == {"online and detached": 3, "online": 1}
        page = operator.gets("").body
        assert len(re.findall(r'<tr id="node-\w+">', page)) == 1


def test_it_is_there_with_a_slash_too_and_links_lead_to_the_address_without(make_server: MakeServer) -> None:
    operator = sign_in(make_server())
    page = operator.gets("/")
    assert page.status == 200
    assert re.search(r'<a href="/console" aria-current="page">', page.body)


def test_the_charts_are_a_table_too(make_server: MakeServer) -> None:
    server = make_server()
    operator = sign_in(server)
    log_in(server, "a")
    body = operator.gets("/overview/minutes").body.partition('id="calls-caption"')[0]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', body)
    assert len(rows) == 60
    headings = [found.text for found in elements(body) if found.tag == "th" and found.attributes.get("scope") == "col"]
    logins = headings.index("Logins: logged in") - 1
    cells = [re.findall(r">(\d+|–)</td>", cells) for _, cells in rows]
    assert sum(int(row[logins]) for row in cells) == 1
    assert all(len(row) == len(headings) - 1 for row in cells)


def test_who_has_disowned_a_login_stands_there_with_a_link(make_server: MakeServer) -> None:
    server = make_server()
    operator = sign_in(server)
    assert shown(operator, "not-me-count", "disownings") == ["0", ""]
    assert Displaced.at(server, "alice&bob").says().status == 200
    until(lambda: shown(operator, "not-me-count") == ["1"], "the count does not come")
    body = operator.gets("/overview").body
    assert '<a href="/console/accounts?userID=alice%26bob">alice&amp;bob</a>' in body
    assert "ended 1 instance" in body


def test_latencies_come_from_every_process(make_redis: Callable[..., RedisServer], make_server: MakeServer) -> None:
    redis = make_redis()
    quick = Timing(renewal_period=1)
    here, there = (make_server(STORE=redis.url, timing=quick) for _ in range(2))
    operator = sign_in(there)
    assert shown(operator, "kick-latency") == ["–, –"]
    stream = log_in(here, "a").goes_online()
    log_in(here, "a")
    assert stream.is_closed() == 4001
    until(lambda: "–" not in shown(operator, "kick-latency")[0], "the other process adds no kick")
    until(lambda: "–" not in shown(operator, "store-latency")[0], "no process adds its calls of the store")
    assert re.search(
        r"<code>admit</code></th><td>2</td><td>≤\s[\d.]+\sm?s</td>", operator.gets("/overview/minutes").body
    )


def test_when_the_store_is_away_the_page_says_so(
    make_redis: Callable[..., RedisServer], make_server: MakeServer
) -> None:
    redis = make_redis()
    server = make_server(STORE=redis.url)
    operator = sign_in(server)
    redis.kill()
    answer = operator.gets("")
    assert answer.status == 503
    assert "try again in 5 seconds" in answer.body


def test_a_page_that_is_open_shows_no_old_numbers_while_the_store_is_away(
    make_redis: Callable[..., RedisServer], make_server: MakeServer, new_window: NewWindow
) -> None:
    redis = make_redis()
    server = make_server(STORE=redis.url)
    page = open_console(new_window(), server)
    expect(page.locator("#online")).to_have_text("0")
    redis.pauses()
    expect(page.locator("#away")).to_contain_text("cannot reach its store", timeout=MILLISECONDS)
    expect(page.locator("#online")).to_have_count(0)
    redis.goes_on()
    expect(page.locator("#online")).to_have_text("0", timeout=MILLISECONDS)
    expect(page.locator("#away")).to_have_count(0)
