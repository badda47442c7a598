"""The kinds of entries of the audit, and those who caused them, as people read them."""

from __future__ import annotations

import re
from typing import Final

from tim.app_settings import changes_of
from tim.audit import (
    BLOCKED,
    CONSOLE_REFUSED,
    CONSOLE_SIGN_IN,
    CONSOLE_SIGN_OUT,
    DELETED,
    EVICTED,
    EXPIRED,
    JOB,
    KICKED,
    LOGIN,
    LOGOUT,
    NOT_ME,
    REFUSED,
    RETURNED,
    REVOKED,
    SERVER,
    SETTINGS,
    SIGNED_OUT,
    UNBLOCKED,
    WENT_AWAY,
    Entry,
)
from tim.ends import EXPIRY_WORDS, IDLE, LIFE
from tim.web.language import gettext as _

ENDED: Final = re.compile(r"ended (\d+) instances?")
"""The words of `audit.disowning_of`."""


def kind_words() -> dict[str, str]:
    """The words of each kind, in the language of the request."""
    return {
        LOGIN: _("logged in"),
        RETURNED: _("came back"),
        REFUSED: _("refused"),
        LOGOUT: _("logged out"),
        SIGNED_OUT: _("signed out from elsewhere"),
        EVICTED: _("evicted at the limit"),
        KICKED: _("kicked"),
        EXPIRED: _("expired"),
        WENT_AWAY: _("gave up its seat"),
        BLOCKED: _("blocked"),
        UNBLOCKED: _("unblocked"),
        REVOKED: _("UserSigs revoked"),
        DELETED: _("account deleted"),
        NOT_ME: _("“That wasn't me”"),
        SETTINGS: _("settings saved"),
        CONSOLE_SIGN_IN: _("console: signed in"),
        CONSOLE_REFUSED: _("console: refused"),
        CONSOLE_SIGN_OUT: _("console: signed out"),
        JOB: _("job"),
    }


def setting_changes(entry: Entry) -> list[tuple[str, str, str]] | None:
    """The name, the old and the new value of each setting that was saved; None for entries of other kinds."""
    return changes_of(entry.words) if entry.kind == SETTINGS else None


def entry_words(entry: Entry) -> str:
    """What an entry says: the words of the service in the language of the request, those of an operator as they are."""
    number = ENDED.fullmatch(entry.words) if entry.kind == NOT_ME else None
    if number is not None:
        return _("ended 1 instance") if number[1] == "1" else _("ended %(number)s instances") % {"number": number[1]}
    ours: dict[str, str] = {
        EXPIRY_WORDS[LIFE]: _("its session life was over"),
        EXPIRY_WORDS[IDLE]: _("it was idle for too long"),
    }
    return ours.get(entry.words, entry.words) if entry.kind == EXPIRED else entry.words


def actor_words(actor: str) -> str:
    """An actor whose name is one of ours in the language of the request; any other as it is."""
    ours: dict[str, str] = {
        "console admin": _("console admin"),
        "console viewer": _("console viewer"),
        SERVER: _("the server"),
    }
    return ours.get(actor, actor)
