"""What stands at the top of each script is true: what it is given, and what it replies. Nothing else is accepted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from typing import Any

import pytest

from tests.support.actors import Clock
from tests.support.redis_server import RedisServer
from tests.support.verbs import EVERYTHING, world
from tim.ends import LOGGED_OUT, Gone
from tim.errors import IMError, SettingsChanged
from tim.store.redis.decode import UnknownReply, checked, hint_of
from tim.store.redis.engine import RedisStore
from tim.store.redis.scripts import CONSTANTS, PARTS, SCRIPTS, Script, Scripts

HEADER = re.compile(
    r"#!lua[^\n]*\n"
    r"-- (?P<what>[A-Z][^\n]*\.)\n"
    r"(?:-- USES: (?P<uses>[^\n]+)\n)?"
    r"-- KEYS: (?P<keys>[^\n]+)\n"
    r"-- ARGV: (?P<argv>[^\n]+)\n(?:--   [^\n]+\n)*"
    r"-- Replies:\n(?P<replies>(?:--   [^\n]+\n)+)"
    r"(?P<body>(?!--)[\s\S]*)"
)
BEFORE = 3
"""How many ARGV each script is given before its own."""
MANY = 10_000
ENDED = [*["1"] * 9, None, None, "away", "1", *[None] * 11]
"""The fields of an ended instance, as a script replies them."""
SAVED = [
    word
    for name in (
        *("online_web_instances", "failures_per_account", "failures_per_address", "policy"),
        *("webhook_url", "webhook_token", "version", "saved_at", "saved_by"),
    )
    for word in (name, "1")
]
"""The fields of settings, as a script replies them."""
BLOCK = ["until", "1", "words", "", "at", "1", "by", ""]
REFUSALS = {
    "gone(": {"gone"},
    "acting(": {"gone", "unknown"},
    "admit(": {"revoked", "blocked", "at-limit"},
    "open_stream(": {"gone"},
}
"""The functions that make replies, with the kinds of these."""
VALUES = {"instance": ENDED, "settings": SAVED, "block": BLOCK, "live": []}


def source(name: str) -> str:
    return resources.files("tim.store.redis").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


def header(name: str) -> re.Match[str]:
    found = HEADER.fullmatch(source(name))
    assert found is not None, f"{name}.lua does not begin with what it does, KEYS, ARGV and replies"
    return found


def arguments(name: str) -> tuple[list[str], int, int]:
    """The names of its ARGV, and how many it is given at least and at most."""
    argv = header(name)["argv"]
    names = [] if argv == "none" else re.findall(r"\w+", argv)
    optional = len(re.findall(r"\w+", argv.partition("[")[2]))
    if argv.endswith("..."):
        return names, len(names) - 1, MANY
    return names, len(names) - optional, len(names)


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_argument_of_a_script_is_named_and_used(name: str) -> None:
    names, _, _ = arguments(name)
    used = {int(number) for number in re.findall(r"(?:ARGV(?:\[|, )|n = (?=\d+, #ARGV))(\d+)", header(name)["body"])}
    assert used == set(range(BEFORE + 1, BEFORE + 1 + len(names)))


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_reply_of_a_script_is_named_and_understood(name: str) -> None:
    found = header(name)
    replies = re.findall(r"^--   (\{'[^}]+\})", found["replies"], re.MULTILINE)
    kinds = set(re.findall(r"\{'([a-z-]+)'", found["body"])).union(
        *(kinds for call, kinds in REFUSALS.items() if call in found["body"])
    )
    assert kinds == {kind for reply in replies for kind in re.findall(r"\{'([a-z-]+)'", reply)}
    for reply in replies:
        kind, *values = reply.strip("{}").split(", ")
        with suppress(IMError, SettingsChanged):  # a refusal
            checked(name, [kind.strip("'"), *(VALUES.get(value, "1") for value in values)])


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_the_parts_whose_functions_it_calls_and_no_others(name: str) -> None:
    functions = {part: re.findall(r"^local function (\w+)", source(part), re.MULTILINE) for part in PARTS}
    uses = header(name)["uses"]
    has = uses.split(", ") if uses else []
    calls = re.sub(r"--.*", "", "".join(map(source, (*has, name))))
    own = re.findall(r"function (\w+)", source(name))
    called = {
        part
        for part in PARTS
        if any(
            re.search(rf"\b{each}[(,]", calls.replace(f"function {each}(", ""))
            for each in set(functions[part]) - set(own)
        )
    }
    assert called == set(has)


@pytest.mark.parametrize("name", CONSTANTS)
def test_each_constant_that_the_scripts_are_given_is_used(name: str) -> None:
    assert sum(len(re.findall(rf"\b{name}\b", script.text)) > 1 for script in SCRIPTS.values()) > 0


def test_each_script_is_given_as_many_arguments_as_it_names(
    make_redis: Callable[..., RedisServer],
    open_redis: Callable[..., RedisStore],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, set[int]] = defaultdict(set)
    for method in ("_evaluate", "_evaluate_all"):
        original = getattr(Scripts, method)

        def note(self: Scripts, *words: Any, _original: Any = original) -> Any:
            *_, verb, values = words
            for each in values.values() if isinstance(values, dict) else [values]:
                given[verb].add(1 + len(each) - BEFORE)
            return _original(self, *words)

        monkeypatch.setattr(Scripts, method, note)
    server = make_redis(clock=clock)
    store = open_redis(server.url)
    for call in EVERYTHING.values():
        call(world(server, store, clock))
    at = world(server, store, clock)
    store.attach_again(at.online.id, "node-1", 10, at.online.stream)
    store.remove(at.closed.id, Gone(LOGGED_OUT, 0))
    assert given.keys() == SCRIPTS.keys()
    for name, numbers in given.items():
        _, least, most = arguments(name)
        assert all(least <= number <= most for number in numbers), (
            f"{name} is given {numbers} and names {least}, {most}"
        )


# What is not known


def test_a_script_that_may_publish_hints_is_called_behind_a_ping(
    make_redis: Callable[..., RedisServer], open_redis: Callable[..., RedisStore], clock: Clock
) -> None:
    # That its hints then leave before its reply is seen only in a trace of the server's system calls.
    server = make_redis(clock=clock)
    at = world(server, open_redis(server.url), clock)
    with server.client() as redis:
        for verb, pings in (("get", 0), ("enter", 1), ("remove", 1)):
            redis.config_resetstat()
            EVERYTHING[verb](at)
            assert redis.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"] == pings


@pytest.mark.parametrize("verb", ["get", "renew"])
def test_an_unknown_reply_of_a_script_is_an_error_that_says_so(
    verb: str,
    make_redis: Callable[..., RedisServer],
    open_redis: Callable[..., RedisStore],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = make_redis(clock=clock)
    store = open_redis(server.url)
    at = world(server, store, clock)
    monkeypatch.setitem(SCRIPTS, verb, Script.of("#!lua", "return {'perhaps', 'secret'}"))
    with pytest.raises(UnknownReply, match=f"the script {verb} gave an unknown reply: 'perhaps'$"):
        EVERYTHING[verb](at)


@pytest.mark.parametrize("reply", [[], ["gone"], ["forgotten", "1"], ["OK"], "ok", None, 1])
def test_a_reply_of_another_shape_is_unknown(reply: Any) -> None:
    with pytest.raises(UnknownReply):
        checked("get", reply)


def test_a_hint_of_an_unknown_kind_is_an_error_that_says_so() -> None:
    with pytest.raises(UnknownReply, match="unknown kind: 'perhaps'"):
        hint_of('{"kind": "perhaps", "app": "1", "user": "alice"}')


def test_the_table_of_keys_lists_each_kind_of_hint() -> None:
    readme = resources.files("tim.store.redis").joinpath("README.md").read_text(encoding="utf-8")
    listed = re.search(r"with a `kind`: ([^.]+), as", readme)
    assert listed is not None
    published = {
        kind for script in SCRIPTS.values() for kind in re.findall(r"notify\w*\([^\n']*'([a-z-]+)'", script.text)
    }
    assert published == set(re.findall(r"`([a-z-]+)`", listed[1]))
