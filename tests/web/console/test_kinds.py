"""What entries of the audit say, in the language of the request."""

from __future__ import annotations

import pytest
from flask import Flask, g

from tim.audit import EXPIRED, KICKED, Entry, disowning_of
from tim.ends import EXPIRY_WORDS, Client
from tim.model import Instance
from tim.web.console.kinds import entry_words

EVICTED = Instance("id", 1, "alice", Client("", ""), since=1.0, expires=2.0)


def said(entry: Entry, language: str) -> str:
    with Flask("kinds").test_request_context():
        g.language = language
        return entry_words(entry)


@pytest.mark.parametrize(
    ("number", "words", "in_chinese"),
    [(1, "ended 1 instance", "已下线 1 个实例"), (12, "ended 12 instances", "已下线 12 个实例")],
)
def test_how_many_a_disowning_has_ended_is_said(number: int, words: str, in_chinese: str) -> None:
    entry = disowning_of(EVICTED, by="", ended=number, at=1.0)
    assert said(entry, "en") == words
    assert said(entry, "zh") == in_chinese


@pytest.mark.parametrize("words", EXPIRY_WORDS.values())
def test_why_one_has_expired_is_said(words: str) -> None:
    entry = Entry("", 1.0, EXPIRED, words=words)
    assert said(entry, "en") == words
    assert not said(entry, "zh").isascii() or not words


@pytest.mark.parametrize("words", ["", "ended 3 instances", *EXPIRY_WORDS.values()])
def test_what_an_operator_wrote_stays_as_it_is(words: str) -> None:
    assert said(Entry("", 1.0, KICKED, words=words), "zh") == words
