"""What CONTRIBUTING.md tells to type works, one command after the other, in a copy of the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import ROOT, block, blocks


def run(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # With PYTHONDONTWRITEBYTECODE each command would compile all the tests again.
    foreign = ("PYTEST_", "TIM_", "PYTHONDONTWRITEBYTECODE")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return subprocess.run(
        ["bash", "-uc", command],
        cwd=folder,
        env=environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.usefixtures("not_quick")
def test_its_commands_run(tmp_path: Path) -> None:
    for folder in ("tim", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.pyc.*"))
    for file in ("app.py", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)

    example = block("CONTRIBUTING.md", "python")
    path = example.partition("\n")[0].removeprefix("# ")
    (tmp_path / path).write_text(example, encoding="utf-8")
    checked = run(tmp_path, f".venv/bin/ruff check {path} && .venv/bin/ruff format --check {path}")
    assert checked.returncode == 0, checked.stdout

    commands = [code for _, code in blocks("CONTRIBUTING.md") if code.startswith(".venv/bin/pytest")]
    assert len(commands) == 2
    for command in commands:
        ended = run(tmp_path, command)
        assert re.search(r"^[1-9]\d* passed", ended.stdout, re.MULTILINE), ended.stdout + ended.stderr

    change, test, undo = block("CONTRIBUTING.md", "sh", "sed -i").splitlines()
    rules = (tmp_path / "tim" / "rules.py").read_text(encoding="utf-8")
    assert run(tmp_path, change).returncode == 0
    assert (tmp_path / "tim" / "rules.py").read_text(encoding="utf-8") != rules
    assert re.search(r"^1 failed", run(tmp_path, test, PATIENCE="3").stdout, re.MULTILINE)
    assert undo == "git checkout tim/rules.py"
