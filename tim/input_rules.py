"""What people and clients may type: UserIDs, texts, names and reasons. Pure functions, as those of `tim.rules`."""

from __future__ import annotations

import re
from typing import Final

from tim.error_texts import bad_user_id
from tim.errors import BadParameter, MessageTooLong
from tim.text import Text, text

USER_ID: Final = re.compile(r"[\x21-\x7e]{1,32}")
"""Printable ASCII without the space, as the vendor's SDKs accept it; case-sensitive."""
MAX_USER_ID: Final = 32
MAX_WORDS: Final = 200
"""Largest number of characters of an operator's reason."""
MAX_NAME: Final = 64
"""Largest number of characters of the name of an instance."""
MAX_TEXT: Final = 12 * 1024
"""Largest size of a text in bytes of UTF-8, as the vendor documents it."""


def check_user_id(user_id: str, name: str = "userID") -> str:
    """Return `user_id` if it follows the rule for UserIDs; otherwise raise BadParameter for the parameter `name`."""
    if not isinstance(user_id, str):
        raise BadParameter(
            name, text("%(name)s must be a string of 1 to %(most)s characters", name=name, most=MAX_USER_ID)
        )
    if not USER_ID.fullmatch(user_id):
        raise BadParameter(name, bad_user_id(name, user_id, MAX_USER_ID))
    return user_id


def check_text(typed: str) -> str:
    """Return `typed` if it fits into a message; otherwise raise BadParameter or MessageTooLong."""
    if not isinstance(typed, str) or not typed.strip():
        raise BadParameter("text", text("the text is empty; write something"))
    try:
        size = len(typed.encode())
    except UnicodeEncodeError:
        raise BadParameter("text", text("the text has half of a surrogate pair, which is no character")) from None
    if size > MAX_TEXT:
        raise MessageTooLong(size, MAX_TEXT)
    return typed


def check_words(words: str, name: str) -> str:
    """Return an operator's reason without blanks around it; otherwise raise BadParameter for the parameter `name`."""
    words = words.strip()
    if (rule := broken_rule(words, MAX_WORDS)) is not None:
        raise BadParameter(name, text("%(name)s %(rule)s", name=name, rule=rule))
    return words


def check_name(name: str) -> str:
    """Return the name of an instance without blanks around it; otherwise raise BadParameter. It may be empty."""
    name = name.strip()
    if (rule := broken_rule(name, MAX_NAME)) is not None:
        raise BadParameter("name", text("name %(rule)s; leave it empty for none", rule=rule))
    return name


def broken_rule(line: str, most: int) -> Text | None:
    """Return the rule that `line` breaks: one line, nothing invisible, at most `most` characters; None if it fits."""
    if not line.isprintable():
        return text("must be one line without control or invisible characters, such as those that join emoji")
    if len(line) > most:
        return text("must be one line of at most %(most)s characters", most=most)
    return None
