"""What the settings of an app may be: pure functions, as those of `tim.rules`."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Final

from tim.errors import SettingError
from tim.input_rules import MAX_WORDS, broken_rule
from tim.model import AppSettings, Limits
from tim.receiver import receiver_at
from tim.rules import MAX_INSTANCES, POLICIES
from tim.text import text

MOST_FAILURES: Final = 1_000_000
"""The largest number of failures that limits can allow."""
MOST_MESSAGES: Final = 1_000_000
"""The largest number of messages that limits can allow one instance in a minute."""
LONGEST_LIFE: Final = 10 * 365 * 86400
"""Largest number of seconds after which an app's settings can end an instance."""
MAX_LINK: Final = 1000
"""Largest number of characters of the link that tells an account how to get a new UserSig."""
LINK: Final = re.compile(rf"(?=.{{0,{MAX_LINK}}}\Z)(https?://[a-zA-Z0-9\[][!-~]*)?")
"""Such a link; no other scheme, as that may be a script."""
MAX_WEBHOOK: Final = 1000
"""Largest number of characters of a webhook's address or token."""


def check_limits(limits: Limits) -> Limits:
    """Return `limits` if each is in its range.

    Raises:
        SettingError: one of them is out of range.
    """
    largest = (MAX_INSTANCES, MOST_FAILURES, MOST_FAILURES, MOST_MESSAGES)
    for field, most in zip(fields(limits), largest, strict=True):
        value = getattr(limits, field.name)
        if not (isinstance(value, int) and 1 <= value <= most):
            raise SettingError(field.name, text("must be a whole number from 1 to %(most)s", most=most))
    return limits


def check_settings(settings: AppSettings) -> AppSettings:
    """Return `settings` if each follows its rule.

    Raises:
        SettingError: one of them does not.
    """
    check_limits(settings.limits)
    if settings.policy not in POLICIES:
        raise SettingError("policy", text("must be one of: %(all)s", all=", ".join(POLICIES)))
    if not isinstance(settings.not_me, bool):
        raise SettingError("not_me", text("must be on or off"))
    for name in ("session_life", "idle_life"):
        seconds = getattr(settings, name)
        if not (type(seconds) is int and 0 <= seconds <= LONGEST_LIFE):
            raise SettingError(
                name, text("must be a whole number of seconds up to %(most)s; 0 for no end", most=LONGEST_LIFE)
            )
    if not isinstance(settings.help_text, str):
        raise SettingError("help_text", text("must be a string"))
    if (rule := broken_rule(settings.help_text, MAX_WORDS)) is not None:
        raise SettingError("help_text", rule)
    if not (isinstance(settings.help_url, str) and LINK.fullmatch(settings.help_url)):
        raise SettingError(
            "help_url",
            text(
                "must be an https:// or http:// address of at most %(most)s ASCII characters, without blanks",
                most=MAX_LINK,
            ),
        )
    for name in ("webhook_url", "webhook_token"):
        value = getattr(settings, name)
        if not (isinstance(value, str) and re.fullmatch(rf"[!-~]{{0,{MAX_WEBHOOK}}}", value)):
            raise SettingError(name, text("must be at most %(most)s ASCII characters without blanks", most=MAX_WEBHOOK))
    if settings.webhook_url:
        receiver_at(settings.webhook_url, settings.webhook_token, local=True)
    return settings
