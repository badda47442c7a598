"""How a server's own log lines look, and what no log may say: the vendor's REST API has UserSigs in the address."""

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
"""What a server repeats of a request line that it could not read: a half of a UserSig, for example, taken for the
version of HTTP."""
TICKET: Final = re.compile(r"[A-Za-z0-9*_%+=-]{40,}")
"""What looks like a UserSig, wherever it stands. An instance's id has 34 characters and says nothing."""
LOGGERS: Final = ("werkzeug", "gunicorn.access", "gunicorn.error", "tim")
"""Who writes addresses, or request lines that could not be read."""
FORM: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
TIME: Final = "%Y-%m-%d %H:%M:%S%z"


class HiddenUserSig(logging.Filter):
    """Writes *** in place of a UserSig, wherever in a record it stands."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        hidden = TICKET.sub("***", UNREADABLE.sub(r"\1***", PARAMETER.sub(r"\1***", said)))
        if hidden != said:
            record.msg, record.args = hidden, ()
        return True


def hide_usersigs() -> None:
    """Keep UserSigs out of every log of this process."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, HiddenUserSig) for each in logger.filters):
            logger.addFilter(HiddenUserSig())


def write_own_lines() -> None:
    """Write our own lines to stderr, with time and level, unless logging is configured already."""
    log = logging.getLogger("tim")
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(FORM, TIME))
        log.addHandler(handler)
