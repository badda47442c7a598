"""Who may import whom: each module only those of lower layers, also for types alone and inside functions."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "tim").rglob("*.py"))
CORE = [file for file in FILES if "web" not in file.relative_to(ROOT / "tim").parts]

LAYERS: list[set[str]] = [
    {"tim.version", "tim.codes", "tim.text", "tim.ends", "tim.events", "tim.address"},
    {"tim.latest", "tim.timing", "tim.mac"},
    {"tim.model"},
    {"tim.error_texts"},
    {"tim.errors", "tim.state_change", "tim.audit"},
    {"tim.log", "tim.receiver", "tim.seat_errors"},
    {"tim.search"},
    {"tim.post", "tim.job"},
    {
        "tim.rules",
        "tim.input_rules",
        "tim.activity",
        "tim.usersig",
        "tim.secret_file",
        "tim.audit_export",
        "tim.mailbox",
    },
    {
        "tim.hub",
        "tim.backlog",
        "tim.setting_rules",
        "tim.store.hints",
        "tim.store.operating",
        "tim.store.audit",
        "tim.store.messages",
    },
    {"tim.store.base"},
    {"tim.measures"},
    {"tim.status"},
    # Each engine, from its tables or its connection up.
    {
        "tim.store.sqlite",
        "tim.store.sqlite.schema",
        "tim.store.sqlite.watch",
        "tim.store.sqlite.filelock",
        "tim.store.sqlite.disk",
    },
    {"tim.store.sqlite.groups"},
    {"tim.store.sqlite.database", "tim.store.sqlite.failures", "tim.store.sqlite.pace"},
    {"tim.store.sqlite.accounts", "tim.store.sqlite.events", "tim.store.sqlite.counters"},
    {"tim.store.sqlite.audit"},
    {"tim.store.sqlite.instances", "tim.store.sqlite.settings", "tim.store.sqlite.sessions"},
    {"tim.store.sqlite.blocks", "tim.store.sqlite.peers"},
    {"tim.store.sqlite.messages", "tim.store.sqlite.listing", "tim.store.sqlite.jobs"},
    {"tim.store.sqlite.streams"},
    {"tim.store.sqlite.seats"},
    {"tim.store.sqlite.engine"},
    {"tim.store.redis", "tim.store.redis.requirements", "tim.store.redis.decode", "tim.store.redis.shards"},
    {"tim.store.redis.sockets", "tim.store.redis.slots"},
    {"tim.store.redis.connection"},
    {"tim.store.redis.scripts", "tim.store.redis.listener"},
    {"tim.store.redis.blocks", "tim.store.redis.events", "tim.store.redis.listing", "tim.store.redis.jobs"},
    {"tim.store.redis.messages", "tim.store.redis.settings", "tim.store.redis.audit"},
    {"tim.store.redis.engine"},
    {"tim.store"},
    {"tim.attempts", "tim.app_settings", "tim.webhook", "tim.reconcile"},
    {"tim.node", "tim.tab"},
    {"tim.listing", "tim.jobs", "tim.logins"},
    {"tim.sdk", "tim.admin", "tim.operators", "tim.overview", "tim.usersigs", "tim.faults", "tim.peers"},
    {"tim.backend"},
    {"tim"},
    # Flask from here on.
    {"tim.web", "tim.web.dispatch"},
    {"tim.web.language", "tim.web.translator", "tim.web.inliner", "tim.web.static_files"},
    {
        "tim.web.allowance",
        "tim.web.framing",
        "tim.web.headers",
        "tim.web.logs",
        "tim.web.notice",
        "tim.web.pending",
        "tim.web.signer",
    },
    {"tim.web.responses"},
    {"tim.web.transport", "tim.web.settings", "tim.web.unseen", "tim.web.time_words"},
    {"tim.web.metrics", "tim.web.inbound", "tim.web.client", "tim.web.identity", "tim.web.lobby", "tim.web.lifetime"},
    {"tim.web.context", "tim.web.stock", "tim.web.websocket"},
    {"tim.web.listener", "tim.web.sockets", "tim.web.expected", "tim.web.question"},
    {"tim.web.templating"},
    {"tim.web.tab_page"},
    {"tim.web.peers"},
    {"tim.web.guard", "tim.web.login", "tim.web.ops", "tim.web.cli", "tim.web.stream", "tim.web.problems"},
    {"tim.web.tabs", "tim.web.choose"},
    {"tim.web.console", "tim.web.console.chart", "tim.web.console.kinds", "tim.web.console.times"},
    {"tim.web.console.session"},
    {
        "tim.web.console.accounts",
        "tim.web.console.api",
        "tim.web.console.audit",
        "tim.web.console.overview",
        "tim.web.console.usersig",
        "tim.web.console.webhook",
    },
    {"tim.web.console.instances"},
    {"tim.web.console.settings"},
    {"tim.web.tencent", "tim.web.tencent.frames", "tim.web.tencent.rest_body"},
    {"tim.web.tencent.stubs", "tim.web.tencent.connection", "tim.web.tencent.rest_commands"},
    {"tim.web.tencent.commands", "tim.web.tencent.rest"},
    {"tim.web.tencent.gateway"},
    {"tim.web.tencent.fast_path"},
]
"""All modules, lowest layer first. The modules of one layer do not import each other."""
LAYER_OF = {name: number for number, layer in enumerate(LAYERS) for name in layer}


def module(file: Path) -> str:
    """Its dotted name."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """All that is in it."""
    return tuple(ast.walk(ast.parse(file.read_text())))


@cache
def imports(file: Path) -> frozenset[str]:
    """The dotted names of all modules it imports, wherever in the file, those for types alone as well."""
    found: set[str] = set()
    for node in nodes(file):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            assert node.module is not None
            # `from tim import hub` imports tim.hub, if there is such a module, and the package otherwise.
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in MODULES else node.module)
    return frozenset(found)


MODULES = {module(file) for file in FILES}


def ours(names: frozenset[str]) -> set[str]:
    return {name for name in names if name == "tim" or name.startswith("tim.")}


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import os\nif TYPE_CHECKING:\n    from tim.model import Instance\n"
        "def later():\n    from tim import hub, Backend\n    import tim.web.ops\n"
    )
    assert imports(file) == {"os", "tim.model", "tim.hub", "tim", "tim.web.ops"}


def test_each_module_is_in_one_layer() -> None:
    assert sorted(name for layer in LAYERS for name in layer) == sorted(MODULES)


@pytest.mark.parametrize("file", FILES, ids=module)
def test_a_module_imports_only_lower_layers(file: Path) -> None:
    name = module(file)
    unknown = ours(imports(file)) - MODULES
    assert not unknown, "not a module"
    assert [other for other in ours(imports(file)) if LAYER_OF[other] >= LAYER_OF[name]] == []


@pytest.mark.parametrize("file", CORE, ids=module)
def test_nothing_outside_web_imports_flask(file: Path) -> None:
    tops = {name.partition(".")[0] for name in imports(file)}
    assert not {top for top in tops if top in ("flask", "werkzeug", "jinja2") or top.startswith("flask_")}


@pytest.mark.parametrize("file", [file for file in FILES if file.stem != "backend"] + [ROOT / "app.py"], ids=str)
def test_the_store_and_the_hub_of_a_backend_are_its_own(file: Path) -> None:
    inside = {"store", "hub", "_store", "_hub", "_node"}
    reached = [
        ast.unparse(node)
        for node in nodes(file)
        if isinstance(node, ast.Attribute)
        and node.attr in inside
        and ast.unparse(node.value) != "self"
        # The setting that says where the store is.
        and ast.unparse(node) != "settings.store"
    ]
    assert reached == []


def test_a_stream_has_its_number_from_the_hub_alone() -> None:
    writers = {
        module(file)
        for file in FILES
        for node in nodes(file)
        if isinstance(node, ast.Attribute) and node.attr == "set_number"
    }
    assert writers == {"tim.hub"}


@pytest.mark.parametrize("name", ["rules", "input_rules", "setting_rules"])
def test_the_rules_are_pure(name: str) -> None:
    names = imports(ROOT / "tim" / f"{name}.py")
    assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "tim"}
    impure = {"time", "socket", "threading", "random", "secrets", "os", "logging", "asyncio", "pathlib", "io"}
    assert not names & impure, "no clock, no socket, no lock"


@pytest.mark.parametrize("file", sorted((ROOT / "tim" / "store").rglob("*.py")), ids=module)
def test_a_store_knows_values_and_rules_and_nothing_above(file: Path) -> None:
    names = "audit codes ends model errors job rules search seat_errors state_change text timing"
    known = {f"tim.{name}" for name in names.split()}
    assert not {name for name in ours(imports(file)) - known if not name.startswith("tim.store")}


@pytest.mark.parametrize("engine", ["sqlite", "redis"])
def test_an_engine_does_not_import_the_other(engine: str) -> None:
    other = {"sqlite": "tim.store.redis", "redis": "tim.store.sqlite"}[engine]
    for file in (ROOT / "tim" / "store" / engine).glob("*.py"):
        assert not {name for name in imports(file) if name.startswith(other)}


def test_the_hub_does_not_know_the_store() -> None:
    assert not {name for name in imports(ROOT / "tim" / "hub.py") if name.startswith("tim.store")}


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


def test_the_package_imports_neither_flask_nor_redis() -> None:
    script = "import sys, tim; print([n for n in sys.modules if n.partition('.')[0] in ('flask', 'werkzeug', 'redis')])"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
