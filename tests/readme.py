"""What README tells people to type or to put into a file, for the tests that do so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

README: Final = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
OPERATE: Final = README.partition("## Operate it\n")[2].partition("\n## ")[0]


def block(language: str) -> str:
    """The block of this language in the section on operation."""
    found = re.findall(rf"```{language}\n(.*?)```", OPERATE, re.DOTALL)
    assert len(found) == 1, f"{len(found)} blocks of {language}"
    return str(found[0])


def row(name: str) -> list[str]:
    """The cells behind the one with this name, in the section on operation."""
    found = [line.strip("| ").split(" | ") for line in OPERATE.splitlines() if line.startswith(f"| {name} |")]
    assert len(found) == 1, f"{len(found)} rows of {name}"
    return found[0][1:]


def setting(text: str, name: str) -> str:
    """The value of the line `name=…` in a block."""
    found = re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)
    assert len(found) == 1, f"{len(found)} lines of {name}"
    return str(found[0])
