"""The audit as a file: CSV for spreadsheets, JSON lines for programs. One page is in memory at a time."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Final

from tim.audit import AuditPage, Entry

COLUMNS: Final = tuple("time" if field.name == "at" else field.name for field in fields(Entry))
FORMULA: Final = re.compile(r'(^|[;,|]"*)(?=[=+@\-\t\r\n＝＋－＠])')
"""Where a cell begins that a spreadsheet computes, also in full width. Some spreadsheets split cells at a semicolon."""


def all_entries(page: Callable[[str], AuditPage]) -> Iterator[Entry]:
    """Yield the entries of all pages; `page` returns the one that begins before an id, first of all before ""."""
    before, more = "", True
    while more:
        found = page(before)
        yield from found.entries
        before, more = found.next, found.next != ""


def csv_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the lines of a CSV file with a heading. What could be a formula begins with an apostrophe."""
    yield _csv_line(COLUMNS)
    for entry in entries:
        yield _csv_line(FORMULA.sub(r"\1'", cell) for cell in _cells(entry).values())


def json_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield one JSON object a line. Empty fields are left out."""
    for entry in entries:
        yield json.dumps({name: cell for name, cell in _cells(entry).items() if cell}, ensure_ascii=False) + "\n"


def _cells(entry: Entry) -> dict[str, str]:
    time = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="microseconds")
    cells = asdict(entry) | {"at": time}
    return dict(zip(COLUMNS, cells.values(), strict=True))


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
