"""A request that fails is answered with a page for a person, with text for a machine, and beside a tab's forms."""

from __future__ import annotations

import pytest
from flask import Blueprint, Flask, Response, abort
from flask.testing import FlaskClient

from tests.support.console import sign_in
from tests.support.server import ROOT, Server
from tests.support.wire import element, get, log_in, post
from tim.errors import StoreUnavailable
from tim.input_rules import MAX_TEXT
from tim.usersig import MAX_SIZE
from tim.web import language, login, problems, static_files, templating

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN_ANSWER = Response("its own answer\n", 426, mimetype="text/plain")


def fails(how: str) -> str:
    match how:
        case "500":
            raise RuntimeError("a secret of the server")
        case "store":
            raise StoreUnavailable("a secret of the server")
        case "words":
            abort(403, "words of the <route>")
        case "own":
            abort(OWN_ANSWER)
        case status:
            abort(int(status))


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    app = Flask(__name__, template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    templating.install(app)
    static_files.install(app)
    problems.install(app)
    app.register_blueprint(login.blueprint)
    app.register_blueprint(language.blueprint)
    app.add_url_rule("/fails/<how>", view_func=fails)
    tab = Blueprint("tabs", __name__, url_prefix="/im")
    tab.add_url_rule("/fails/<how>", view_func=fails)
    tab.add_url_rule("/sends/<how>", "send", fails)
    app.register_blueprint(tab)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("400", 400, "This request was refused"),
        ("404", 404, "There is no such page"),
        ("405", 405, "This address answers a form"),
        ("413", 413, "A form may have 64 KiB"),
        ("500", 500, "The server made a mistake"),
        ("words", 403, "words of the &lt;route&gt;"),
        ("store", 503, "the service cannot reach its store now"),
    ],
)
def test_a_person_reads_a_page_with_a_way_on(how: str, status: int, words: str, client: FlaskClient) -> None:
    answer = client.get(f"/fails/{how}", headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert words in answer.text
    assert 'href="/login"' in answer.text and "tim.css" in answer.text
    assert ('<a class="button" href="">' in answer.text) == (status >= 500), "only the server's failure may pass"
    assert "/console" not in answer.text
    assert "secret" not in answer.text
    assert answer.headers.get("Retry-After") == ("5" if how == "store" else None)


@pytest.mark.parametrize("how", ["404", "405", "413", "500", "words", "store", "own"])
def test_a_machine_gets_what_it_can_read(how: str, client: FlaskClient) -> None:
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}, BROWSER | {"HX-Request": "true"}):
        answer = client.get(f"/fails/{how}", headers=headers)
        assert answer.status_code == {"words": 403, "store": 503, "own": 426}.get(how) or int(how)
        assert "tim.css" not in answer.text
    if how in ("store", "own"):
        assert answer.mimetype == "text/plain"


def test_a_page_asks_again_by_itself_for_as_long_as_the_store_is_away(client: FlaskClient) -> None:
    answer = client.get("/fails/store", headers=BROWSER)
    assert answer.headers["Refresh"] == answer.headers["Retry-After"] == "5"
    assert "This page tries again by itself." in answer.text
    for other in (client.get("/fails/store"), client.get("/fails/500", headers=BROWSER)):
        assert "Refresh" not in other.headers
        assert "by itself" not in other.text


def test_an_answer_of_its_own_stays_as_it_is(client: FlaskClient) -> None:
    assert client.get("/fails/own", headers=BROWSER).text == "its own answer\n"


def test_the_pages_of_the_service_fail_in_the_same_style(server: Server) -> None:
    nowhere = get(server, "/nowhere", headers=BROWSER)
    assert (nowhere.status, "There is no such page" in nowhere.body) == (404, True)
    form = get(server, "/usersig", headers=BROWSER)
    assert (form.status, "POST" in form.header("Allow"), "answers a form" in form.body) == (405, True, True)
    large = post(server, "/login", {"userSig": "x" * 70_000}, headers=BROWSER)
    assert (large.status, f"a UserSig at most {MAX_SIZE} characters" in large.body) == (413, True)
    other = post(server, "/console/sign-in", {"token": "x" * 70_000}, headers=BROWSER)
    assert (other.status, "A form may have 64 KiB, and this one had more" in other.body) == (413, True)
    assert "60009" in get(server, "/v4/nothing", headers=BROWSER).body, "the REST API answers as always"


def test_a_form_of_a_tab_that_is_too_large_is_told_what_fits(server: Server) -> None:
    tab = log_in(server, "too-large")
    for path, words in (("messages", f"{MAX_TEXT} bytes of a message; send it in parts"), ("name", "may have 64 KiB")):
        form = {"text": "x" * 70_000}
        for htmx in ({}, {"HX-Request": "true"}):
            answer = post(server, tab.path + path, form, cookie=tab.cookie, headers=BROWSER | htmx)
            assert (answer.status, words in answer.body) == (413, True), (path, htmx)
            assert ('id="send-error"' in answer.body) == (path == "messages" and bool(htmx))


def test_only_a_signed_in_operator_is_shown_the_way_to_the_console(server: Server) -> None:
    assert "/console" not in get(server, "/nowhere", headers=BROWSER).body
    answer = sign_in(server).gets("/nowhere", **BROWSER)
    assert answer.status == 404
    assert 'href="/console"' in answer.body and "There is no such page" in answer.body


def test_a_form_of_a_tab_that_fails_says_so_beside_it(client: FlaskClient) -> None:
    answer = client.get("/im/fails/store", headers=BROWSER | {"HX-Request": "true"})
    found = element(answer.text, "no-answer")
    assert answer.status_code == 503
    assert found is not None and found.attributes["hx-swap-oob"] == "innerHTML"
    assert found.text == "the service cannot reach its store now; try again in 5 seconds"
    answer = client.get("/im/fails/500", headers=BROWSER | {"HX-Request": "true"})
    assert "The server did not answer" in answer.text
    answer = client.get("/im/sends/store", headers=BROWSER | {"HX-Request": "true"})
    found = element(answer.text, "send-error")
    assert answer.status_code == 503 and element(answer.text, "no-answer") is None
    assert found is not None and found.text == "the service cannot reach its store now; try again in 5 seconds"
    assert "<html" in client.get("/im/fails/500", headers=BROWSER).text, "without htmx it is a page"
