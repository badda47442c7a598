"""The package installs alone: its core needs nothing, its extras and requirements.txt name what is imported."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.documents import block
from tim.version import VERSION

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distributions(*folders: str) -> set[str]:
    """The distributions that the files import, by their names in lower case."""
    files = [file for folder in folders for file in ([ROOT / folder] if folder.endswith(".py") else python_in(folder))]
    trees = [ast.parse(file.read_text()) for file in files]
    modules = {
        name.partition(".")[0]
        for node in (node for tree in trees for node in ast.walk(tree))
        for name in imported(node)
    }
    of = metadata.packages_distributions()
    # _typeshed is known to type checkers alone.
    foreign = modules - sys.stdlib_module_names - {"tim", "tests", "app", "_typeshed"}
    return {of[name][0].lower().replace("_", "-") for name in foreign}


def python_in(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [name.name for name in node.names] if isinstance(node, ast.Import) else []


def named(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9_-]+", line) for line in requirements)
    return {name[0].lower().replace("_", "-") for name in names if name}


def test_requirements_name_each_package_that_is_imported() -> None:
    pinned = named((ROOT / "requirements.txt").read_text().splitlines())
    assert distributions("app.py", "tim") <= pinned


def test_the_extras_name_what_is_imported() -> None:
    extras = PROJECT["optional-dependencies"]
    assert PROJECT["dependencies"] == []
    assert distributions("app.py", "tim") <= named(extras["web"]) | named(extras["redis"])


def test_the_version_is_the_same_in_the_package_and_in_its_metadata() -> None:
    assert PROJECT["version"] == VERSION


@pytest.mark.usefixtures("not_quick")
def test_the_core_installs_alone_and_runs_the_example_of_the_readme(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "-q", "--no-cache-dir", str(ROOT)], check=True, capture_output=True)

    listed = subprocess.run([*pip, "list", "--format=freeze"], capture_output=True, text=True, check=True)
    assert named(listed.stdout.splitlines()) == {"tim"}
    run = subprocess.run(
        [python, "-c", block("README.md", "python")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.splitlines()[-1] == "refused: 2024", run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["venv"], "nothing is written beside a store in memory"
    refused = subprocess.run(
        [python, "-c", "import tim; tim.Backend('redis://127.0.0.1', secret_key='of-the-app-0123456789')"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "pip install 'tim[redis]'" in refused.stderr
    shipped = subprocess.run(
        [python, "-c", "from importlib.resources import files as f; print(f('tim').joinpath('py.typed').is_file(),"
         "f('tim.store').joinpath('redis', 'lua', 'admit.lua').is_file(),"
         "f('tim.web').joinpath('translations', 'zh', 'LC_MESSAGES', 'messages.po').is_file())"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert shipped.stdout.split() == ["True", "True", "True"]
