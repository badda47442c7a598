"""What people and clients may type, and what the settings of an app may be: properties of pure functions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tim.errors import BadParameter, MessageTooLong, SettingError
from tim.input_rules import MAX_NAME, MAX_TEXT, MAX_WORDS, check_name, check_text, check_user_id, check_words
from tim.model import AppSettings, Limits
from tim.rules import POLICIES
from tim.setting_rules import LONGEST_LIFE, MAX_LINK, check_settings

# The name of an instance


@pytest.mark.parametrize("name", ["", "my laptop", "笔记本", "x" * MAX_NAME, "😀" * MAX_NAME, "<b>"])
def test_a_name_that_fits_is_left_as_it_is_but_for_blanks_around_it(name: str) -> None:
    assert check_name(name) == check_name(f"  {name}\t") == name


INVISIBLE = ("two\nlines", "tab\there", "\u202eright to left", "\0", "\ud800", "👨\u200d👩\u200d👧 family")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("x" * (MAX_NAME + 1), "name must be one line of at most 64 characters; leave it empty for none"),
        *((name, "name must be one line without control or invisible characters") for name in INVISIBLE),
    ],
)
def test_a_name_that_breaks_a_rule_is_refused_with_that_rule(name: str, rule: str) -> None:
    with pytest.raises(BadParameter, match=rule) as refused:
        check_name(name)
    assert (refused.value.code, refused.value.name) == (70402, "name")


# An operator's words


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("x" * (MAX_WORDS + 1), "must be one line of at most 200 characters"),
        *((words, "must be one line without control or invisible characters") for words in INVISIBLE),
    ],
)
def test_words_that_break_a_rule_are_refused_with_that_rule(words: str, rule: str) -> None:
    with pytest.raises(BadParameter, match=f"reason {rule}"):
        check_words(words, "reason")
    with pytest.raises(SettingError, match=rule):
        check_settings(AppSettings(help_text=words))


# A UserID


ALLOWED = "".join(map(chr, range(0x21, 0x7F)))


@given(st.text(ALLOWED, min_size=1, max_size=32))
def test_a_user_id_is_up_to_32_characters_of_printable_ascii_without_the_space(user_id: str) -> None:
    assert check_user_id(user_id) == user_id


@given(st.text(max_size=40))
def test_nothing_else_is_a_user_id(text: str) -> None:
    if not (0 < len(text) <= 32 and set(text) <= set(ALLOWED)):
        with pytest.raises(BadParameter):
            check_user_id(text)


@pytest.mark.parametrize(
    "wrong", ["", "a" * 33, "a b", "alice\n", "\nalice", "ünal", "１", "²", "\x7f", "a\tb", "\0", "٣", "\ud800"]
)
def test_a_user_id_outside_the_rule_is_refused_and_the_parameter_named(wrong: str) -> None:
    with pytest.raises(BadParameter, match=re.escape("to must be 1 to 32")) as refused:
        check_user_id(wrong, "to")
    assert (refused.value.code, refused.value.name) == (70402, "to")


@pytest.mark.parametrize("user_id", ["alice@example.com", "+8613800138000", "a.b", "{x}", "a:b/c?d#e%20", "'\"<&>"])
def test_a_mail_address_or_a_phone_number_is_a_user_id(user_id: str) -> None:
    assert check_user_id(user_id) == user_id


@pytest.mark.parametrize(
    ("wrong", "way_out"),
    [
        ("123e4567-e89b-12d3-a456-426614174000", "remove the dashes"),
        (" alice", "remove the blank"),
        ("al ice", "without blanks"),
        ("爱丽丝", "without blanks and other characters"),
        ("x" * 33, "this one has 33: use a shorter one"),
        ("", "it is empty"),
        (" \u3000", "it is empty"),
    ],
)
def test_a_refused_user_id_is_told_the_way_out(wrong: str, way_out: str) -> None:
    with pytest.raises(BadParameter, match=re.escape(way_out)):
        check_user_id(wrong)


def test_the_shortest_and_the_longest_user_id() -> None:
    assert check_user_id("-") == "-"
    assert check_user_id("Z" * 32) == "Z" * 32


# A text


@pytest.mark.parametrize("text", ["x" * MAX_TEXT, "é" * (MAX_TEXT // 2), "😀" * (MAX_TEXT // 4), "\0", "<b>", " x "])
def test_a_text_that_fits_is_left_as_it_is(text: str) -> None:
    assert check_text(text) == text


@pytest.mark.parametrize("text", ["x" * (MAX_TEXT + 1), "é" * (MAX_TEXT // 2) + "x", "😀" * (MAX_TEXT // 4) + "x"])
def test_a_text_over_twelve_kibibytes_is_refused_with_its_size(text: str) -> None:
    with pytest.raises(MessageTooLong) as refused:
        check_text(text)
    assert (refused.value.code, refused.value.size, refused.value.limit) == (80002, 12 * 1024 + 1, 12 * 1024)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000", "half a pair \ud800"])
def test_a_text_that_says_nothing_or_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadParameter) as refused:
        check_text(text)
    assert (refused.value.code, refused.value.name) == (70402, "text")


@given(st.text(max_size=MAX_TEXT))
def test_any_text_is_taken_as_it_is_or_refused(text: str) -> None:
    if text.strip():
        assert check_text(text) == text


# The settings of an app


@pytest.mark.parametrize(
    "right",
    [
        *({"policy": policy} for policy in POLICIES),
        {"not_me": False},
        {"session_life": 0, "idle_life": LONGEST_LIFE},
        {"help_text": "é" * MAX_WORDS, "help_url": ""},
        {"help_url": "https://example.com/" + "x" * (MAX_LINK - 20)},
        {"help_url": "http://[::1]:8000/?a=b#c"},
    ],
    ids=str,
)
def test_settings_within_their_rules_are_taken_as_they_are(right: dict[str, Any]) -> None:
    settings = AppSettings(Limits(3), **right)
    assert check_settings(settings) == settings


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("policy", ""),
        ("policy", "Evict"),
        ("not_me", 1),
        ("not_me", "off"),
        *((name, wrong) for name in ("session_life", "idle_life") for wrong in (-1, LONGEST_LIFE + 1, 0.5, "60", True)),
        ("help_text", "x" * (MAX_WORDS + 1)),
        ("help_text", "two\nlines"),
        ("help_text", None),
        ("help_url", "example.com"),
        ("help_url", "javascript:alert(1)"),
        ("help_url", "https://"),
        ("help_url", "https:///path"),
        ("help_url", " https://example.com/"),
        ("help_url", "https://example.com/\n"),
        ("help_url", "https://example.com/a b"),
        ("help_url", "https://exämple.com/"),
        ("help_url", "https://example.com/" + "x" * (MAX_LINK - 19)),
        ("help_url", None),
    ],
)
def test_a_setting_that_breaks_its_rule_is_refused_by_its_name(name: str, wrong: object) -> None:
    with pytest.raises(SettingError, match="must be") as refused:
        check_settings(AppSettings(**{name: wrong}))  # type: ignore[arg-type]
    assert refused.value.name == name
