"""What README tells people to type or to put into a file, for the tests that do so."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

README: Final = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
OPERATE: Final = README.partition("## Operate it\n")[2].partition("\n## ")[0]


def block(language: str, has: str = "", *, of: str = OPERATE) -> str:
    """The one block of this language with these words in it; in the section on operation, unless told otherwise."""
    found = [code for code in re.findall(rf"```{language}\n(.*?)```", of, re.DOTALL) if has in code]
    assert len(found) == 1, f"{len(found)} blocks of {language} with {has!r}"
    return str(found[0])


@functools.cache
def files_made() -> dict[str, str]:
    """What the script that makes the secrets writes, by the name of the file."""
    with TemporaryDirectory() as folder:
        subprocess.run(["sh", "-c", block("sh", "tim.env")], cwd=folder, check=True)
        made = list(Path(folder).iterdir())
        assert all(file.stat().st_mode & 0o077 == 0 for file in made)
        return {file.name: file.read_text() for file in made}


def environment_made() -> dict[str, str]:
    """The settings of each machine, without `TIM_` in front."""
    return dict(line.removeprefix("TIM_").split("=", 1) for line in files_made()["tim.env"].splitlines())


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
