"""docs/architecture.md is true: its functions, verbs, reasons and close codes are those of the code."""

from __future__ import annotations

import ast
import re

from tests.support.documents import ROOT, text
from tim.ends import CLOSE_CODES, CLOSE_LATER, CLOSE_MOVED, CLOSE_RESTART, KICKS
from tim.store.base import Store

ARCHITECTURE = text("docs/architecture.md")


def definitions() -> set[str]:
    """The functions of the code, as `function`, `module.function` and `Class.method`, and its classes."""
    found: set[str] = set()
    for file in [ROOT / "app.py", *(ROOT / "tim").rglob("*.py")]:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                found |= {node.name, f"{file.stem}.{node.name}"}
            elif isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


def test_each_function_that_it_names_exists() -> None:
    named = set(re.findall(r"([A-Za-z_][\w.]*)\(\)", ARCHITECTURE))
    assert len(named) > 10
    assert named - definitions() == set()


def test_each_thread_that_it_names_is_started() -> None:
    named = set(re.findall(r"^\| `(tim-[\w-]+)` \|", ARCHITECTURE, re.MULTILINE))
    sources = [path.read_text(encoding="utf-8") for path in [ROOT / "app.py", *(ROOT / "tim").rglob("*.py")]]
    started = {name for source in sources for name in re.findall(r'name="(tim-[\w-]+)"', source)}
    assert named == started


def test_each_transition_is_made_by_verbs_of_the_store() -> None:
    cells = re.findall(r"^\| [^|]*→[^|]* \| ([^|]*) \|", ARCHITECTURE, re.MULTILINE)
    named = {verb for cell in cells for verb in re.findall(r"`(\w+)`", cell)}
    assert named >= {"admit", "attach", "detach", "sweep", "remove", "kick_account", "delete_account"}
    assert not [verb for verb in named if not hasattr(Store, verb)]


def test_each_reason_has_its_close_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (yes|no) \|$", ARCHITECTURE, re.MULTILINE)
    assert {reason: int(code) for reason, code, _ in rows} == CLOSE_CODES
    assert {reason for reason, _, kick in rows if kick == "yes"} == KICKS
    assert f"{CLOSE_MOVED} (moved)" in ARCHITECTURE
    assert f"{CLOSE_RESTART} (this node stops) and {CLOSE_LATER} (the" in ARCHITECTURE
