"""Who may import whom. Each layer knows the ones below it, and only `web` knows Flask."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "tim").rglob("*.py"))
CORE = [file for file in FILES if "web" not in file.relative_to(ROOT / "tim").parts]

MAY_IMPORT = {
    "tim.errors": set(),
    "tim.events": set(),
    "tim.ends": set(),
    "tim.model": {"tim.ends"},
    "tim.secret_file": {"tim.errors"},
    "tim.usersig": {"tim.errors"},
    "tim.address": set(),
    "tim.latest": set(),
    "tim.attempts": {"tim.address", "tim.errors", "tim.model", "tim.rules", "tim.store.base"},
    "tim.rules": {"tim.ends", "tim.errors", "tim.model"},
    "tim.hub": {"tim.ends", "tim.model"},
}
"""What else of ours a module may import; of the store's modules, see below; the others are free."""


def module(file: Path) -> str:
    """Its dotted name."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path, *, for_types: bool = True) -> set[str]:
    """The dotted names of all modules it imports, wherever in the file; those for types only if asked for."""
    tree = ast.parse(file.read_text())
    skipped: set[ast.AST] = set()
    if not for_types:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                skipped |= {inner for statement in node.body for inner in ast.walk(statement)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            assert node.module is not None
            # `from tim import hub` imports tim.hub, if there is such a module, and the package otherwise.
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in MODULES else node.module)
    return found


MODULES = {module(file) for file in FILES}


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name == "tim" or name.startswith("tim.")}


def test_there_is_something_to_look_at() -> None:
    assert {"tim", "tim.rules", "tim.hub", "tim.store", "tim.store.sqlite.engine"} <= MODULES
    assert imports(ROOT / "tim" / "hub.py") >= {"threading", "tim.ends"}
    assert "tim.backend" in imports(ROOT / "tim" / "sdk.py")
    assert "tim.backend" not in imports(ROOT / "tim" / "sdk.py", for_types=False)


@pytest.mark.parametrize("file", CORE, ids=module)
def test_nothing_outside_web_knows_flask(file: Path) -> None:
    tops = {name.partition(".")[0] for name in imports(file)}
    assert not {top for top in tops if top in ("flask", "werkzeug", "jinja2") or top.startswith("flask_")}
    assert not {name for name in imports(file) if name.startswith("tim.web")}


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_layer_imports_only_what_is_below_it(name: str) -> None:
    file = ROOT / f"{name.replace('.', '/')}.py"
    assert ours(imports(file, for_types=False)) <= MAY_IMPORT[name]


def test_the_rules_are_pure() -> None:
    names = imports(ROOT / "tim" / "rules.py")
    assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "tim"}
    impure = {"time", "socket", "threading", "random", "secrets", "os", "logging", "asyncio", "pathlib", "io"}
    assert not names & impure, "no clock, no socket, no lock"


@pytest.mark.parametrize("file", sorted((ROOT / "tim" / "store").rglob("*.py")), ids=module)
def test_a_store_imports_only_the_rules(file: Path) -> None:
    for name in ours(imports(file)):
        assert name in ("tim.rules", "tim.errors", "tim.ends", "tim.model", "tim.timing") or name.startswith(
            "tim.store"
        )


def test_hub_and_store_never_meet() -> None:
    assert not {name for name in imports(ROOT / "tim" / "hub.py") if name.startswith("tim.store")}
    for file in (ROOT / "tim" / "store").rglob("*.py"):
        assert "tim.hub" not in imports(file)


def test_the_package_itself_is_a_table_of_contents() -> None:
    tree = ast.parse((ROOT / "tim" / "__init__.py").read_text())
    exported: list[str] = []
    imported: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            imported += [name.asname or name.name for name in node.names]
        elif isinstance(node, ast.Assign):
            assert ast.unparse(node.targets[0]) == "__all__"
            exported += ast.literal_eval(node.value)
        else:
            assert isinstance(node, ast.Expr), f"line {node.lineno} is no import"
            assert isinstance(node.value, ast.Constant), f"line {node.lineno} is no docstring"
    assert sorted(exported) == sorted(imported)


def test_every_exported_name_is_there() -> None:
    import tim  # noqa: PLC0415

    assert all(hasattr(tim, name) for name in tim.__all__)


@pytest.mark.parametrize("file", FILES, ids=module)
def test_no_file_is_longer_than_300_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 300


def test_importing_the_package_imports_no_flask() -> None:
    script = "import sys, tim; print([n for n in sys.modules if n.partition('.')[0].startswith(('flask', 'werkzeug'))])"
    asked = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"
