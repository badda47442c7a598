"""The form of log lines, text or JSON, and what may stand in them: no secret, no control character.

This module imports nothing of the service, because the master process of gunicorn loads it too.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, TextIO


def _spelled(name: str) -> str:
    """A pattern of a parameter's name, also where it is percent-encoded."""
    return "".join(f"(?:{letter}|%{ord(letter):02x}|%{ord(letter.upper()):02x})" for letter in name)


PARAMETER: Final = re.compile(
    rf"((?:{_spelled('usersig')}|{_spelled('token')})(?:\s|\+|%20){{0,9}}(?:=|%3d))"
    r".*?(?=&|%26|\sHTTP/\d\.\d(?:\W|$)|\n|$)",
    re.IGNORECASE,
)
"""A UserSig or token in an address: all up to the next parameter or the end, as a request line may be broken by a
blank, a quote or a NUL in it, and its key may be percent-encoded."""
UNREADABLE: Final = re.compile(
    r"(Invalid HTTP [\w ]{1,40}: |message (?:Bad|Unsupported|Invalid)[\w /.]{0,40}\().*", re.DOTALL
)
"""A malformed request line, which a server repeats in its log. It may hold a part of a UserSig, for example in place of
the version of HTTP."""
TICKET: Final = re.compile(r"(?<![A-Za-z0-9*_%+-])[A-Za-z0-9*_%+-]{40,}=*")
"""Any text that looks like a UserSig. An instance's id has 34 characters, is not matched, and is no secret. The
lookbehind keeps the search from trying each character of a shorter word."""
STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")
"""What colours a line in a terminal."""
LOGGERS: Final = ("werkzeug", "gunicorn.access", "gunicorn.error", "app", "tim")
"""The loggers that write text of clients: addresses, malformed request lines, errors."""
FORM: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
TIME: Final = "%Y-%m-%d %H:%M:%S%z"
INDENT: Final = "\n    "
"""Begins each further line of a traceback, so that none can look like a line of the log."""


class CleanLine(logging.Filter):
    """Hides the secrets of a record, and escapes its control characters."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        clean = hide(STYLE.sub("", said))
        if record.name == "werkzeug" and not record.args:
            # No client has a part in these: where it runs, in several lines, or the traceback of a failure.
            clean = _indented(clean) if record.levelno >= logging.ERROR else clean
        else:
            clean = escape(clean)
        if clean != said:
            record.msg, record.args = clean, ()
        if record.exc_info and not record.exc_text:
            text = "".join(traceback.format_exception(*record.exc_info))
            record.exc_text = "    " + _indented(hide(text.rstrip()))
        return True


class Lines(logging.StreamHandler[TextIO]):
    """Writes lines to stderr, which needs no flush: it writes each line at once."""

    def flush(self) -> None:
        """Does nothing."""


class JSONForm(logging.Formatter):
    """A record as one JSON object. An event has its fields in place of a message."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        event = getattr(record, "event", None)
        if event is None:
            line["message"] = record.getMessage()
        else:
            fields: dict[str, Any] = getattr(record, "fields", {})
            shown = {name: hide(value) if isinstance(value, str) else value for name, value in fields.items()}
            line |= {"event": event} | shown
        if record.exc_text:
            line["traceback"] = record.exc_text
        return json.dumps(line, default=str)


def hide(text: str) -> str:
    """`text` with each UserSig and token in it replaced by ***."""
    if _may_have_parameter(text):
        text = PARAMETER.sub(r"\1***", text)
    if "Invalid HTTP" in text or "message" in text:
        text = UNREADABLE.sub(r"\1***", text)
    return TICKET.sub("***", text)


def _may_have_parameter(text: str) -> bool:
    """False where PARAMETER, which takes longer than all the rest of a line, cannot match."""
    if "%" in text or not text.isascii():  # beyond ASCII there are more letters that count as one of its letters
        return True
    lower = text.lower()
    return "usersig" in lower or "token" in lower


def escape(text: str) -> str:
    """`text` with each character that a terminal does not print, a line break too, replaced by its escape sequence."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def clean_lines() -> None:
    """Adds the filter to each of LOGGERS; idempotent."""
    for name in LOGGERS:
        _add_filter(logging.getLogger(name))


def write_lines(form: str) -> None:
    """Sends lines to stderr, unless logging is configured already.

    Args:
        form: "text": the lines of `tim`; each server writes its own. "json": all lines, one JSON object each.
    """
    log = logging.getLogger("tim")
    if log.hasHandlers():
        return
    # No form of ours names a thread or a process. With gevent, a line would make a thread object for its greenlet.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None  # nor a line of code: so logging's manual leaves that out
    log.setLevel(logging.INFO)
    handler = Lines()
    if form == "json":
        handler.setFormatter(JSONForm())
        _add_filter(handler)
        logging.getLogger().addHandler(handler)
    else:
        handler.setFormatter(logging.Formatter(FORM, TIME))
        log.addHandler(handler)


def write_json(handlers: Iterable[logging.Handler]) -> None:
    """Gives handlers that exist the form of JSON."""
    for handler in handlers:
        handler.setFormatter(JSONForm())


def _add_filter(to: logging.Filterer) -> None:
    # By the name: the one that gunicorn's master has added is of another copy of this module, and may be older.
    others = [each for each in to.filters if type(each).__name__ != CleanLine.__name__]
    to.filters = [*others, CleanLine()]


def _indented(text: str) -> str:
    return INDENT.join(escape(line) for line in text.split("\n"))
