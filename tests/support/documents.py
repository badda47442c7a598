"""The documents of the repository, their code blocks and table rows, for the tests that run and compare them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted(
    path.relative_to(ROOT).as_posix() for folder in ("", "docs/", "tim/**/") for path in ROOT.glob(f"{folder}*.md")
)
"""Their paths, relative to the root."""


def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> list[tuple[str, str]]:
    """The fenced code blocks in their order: language and content."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text(document), re.DOTALL | re.MULTILINE)


def block(document: str, language: str, has: str = "") -> str:
    """The one block of this language that contains `has`."""
    found = [code for its, code in blocks(document) if its == language and has in code]
    assert len(found) == 1, f"{document} has {len(found)} blocks of {language} with {has!r}"
    return found[0]


def prose(document: str) -> str:
    """The text without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text(document), flags=re.DOTALL | re.MULTILINE)


def row(document: str, first: str) -> list[str]:
    """The cells behind the one that begins with `first`, in the one row that has it."""
    rows = [line.strip("| ").split(" | ") for line in prose(document).splitlines() if line.startswith("| ")]
    found = [cells for cells in rows if cells[0] == first] or [cells for cells in rows if cells[0].startswith(first)]
    assert len(found) == 1, f"{document} has {len(found)} rows of {first!r}"
    return found[0][1:]
