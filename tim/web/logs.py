"""The form of log lines, and a filter that removes UserSigs: the vendor's REST API puts them into the address."""

from __future__ import annotations

import logging
import re
from typing import Final

_KEY: Final = "".join(f"(?:{letter}|%{ord(letter):02x}|%{ord(letter.upper()):02x})" for letter in "usersig")
PARAMETER: Final = re.compile(
    rf"({_KEY}(?:\s|\+|%20){{0,9}}(?:=|%3d)).*?(?=&|%26|\sHTTP/\d\.\d(?:\W|$)|\n|$)", re.IGNORECASE
)
"""A UserSig in an address: all up to the next parameter or the end, as a request line may be broken by a blank, a
quote or a NUL in it, and its key may be percent-encoded."""
UNREADABLE: Final = re.compile(
    r"(Invalid HTTP [\w ]{1,40}: |message (?:Bad|Unsupported|Invalid)[\w /.]{0,40}\().*", re.DOTALL
)
"""A malformed request line, which a server repeats in its log. It may hold a part of a UserSig, for example in place of
the version of HTTP."""
TICKET: Final = re.compile(r"[A-Za-z0-9*_%+=-]{40,}")
"""Any text that looks like a UserSig. An instance's id has 34 characters, is not matched, and is no secret."""
LOGGERS: Final = ("werkzeug", "gunicorn.access", "gunicorn.error", "tim")
"""The loggers that write addresses or malformed request lines."""
FORM: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
TIME: Final = "%Y-%m-%d %H:%M:%S%z"


class HiddenUserSig(logging.Filter):
    """Replaces each UserSig in a record by ***."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        hidden = TICKET.sub("***", UNREADABLE.sub(r"\1***", PARAMETER.sub(r"\1***", said)))
        if hidden != said:
            record.msg, record.args = hidden, ()
        return True


def hide_usersigs() -> None:
    """Adds the filter to each of LOGGERS; idempotent."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, HiddenUserSig) for each in logger.filters):
            logger.addFilter(HiddenUserSig())


def write_own_lines() -> None:
    """Sends the lines of `tim` to stderr, with time and level, unless logging is configured already."""
    log = logging.getLogger("tim")
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(FORM, TIME))
        log.addHandler(handler)
