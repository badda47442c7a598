"""Documents are true: paths, links and maps lead somewhere, each code block is run, and no other paper is cited."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.documents import DOCUMENTS, ROOT, block, blocks, prose, text
from tests.test_imports import LAYER_OF

OUR_PATH: Final = re.compile(
    r"(?:app\.py|pyproject\.toml|requirements\.txt|(?:tim|tests|docs|templates|static)/[\w./*-]*)"
)
"""A path relative to the root of the repository."""

RUN: Final = {
    "README.md": {
        "$(command -v sudo)": "not run: installs system packages; tests/run does the same",
        "const tim = TIM.create": "tests/test_readme.py::test_its_lines_for_the_sdk_are_those_of_the_page",
        "import threading": "tests/test_readme.py::test_the_example_prints_what_the_readme_says",
    },
    "docs/official-sdk.md": {
        "npm install": "tests/tencent/test_official_sdk.py::test_it_installs_the_version_under_test",
        "<!doctype html>": "tests/tencent/test_official_sdk.py::test_its_page_is_ready_and_then_kicked_out",
        "python3 -m http.server": "tests/tencent/test_official_sdk.py::test_its_page_is_ready_and_then_kicked_out",
        "echo": "tests/tencent/test_official_sdk.py::test_it_prints_an_address_whose_usersig_logs_in",
        "site=": "tests/tencent/test_official_sdk.py::test_each_type_of_kick_comes_of_its_command",
        "SIG=": "tests/tencent/test_official_sdk.py::test_its_call_of_the_rest_api_kicks",
    },
    "docs/webhook.md": {
        "import hashlib": "tests/web/test_webhook.py::test_the_receiver_of_the_document_prints_each_event_once",
    },
    "docs/operating.md": {
        ".venv/bin/gunicorn": "tests/web/test_operations.py::test_one_process_serves_the_default_store",
        "umask": "tests/web/test_operations.py::test_each_setting_of_the_file_is_one_and_opens_a_server",
        "cd /opt/tim": "not run: downloads packages; tests/run does the same",
        "[Unit]": "tests/web/test_operations.py::test_the_unit_starts_tells_systemd_serves_and_stops",
        "map $http_upgrade": "tests/web/test_production.py::test_pages_sockets_and_messages_go_to_any_machine",
        "scrape_configs": "tests/test_monitoring.py::test_prometheus_takes_the_configuration_the_rules_and_every_query",
        ".venv/bin/flask tim limits": "tests/web/test_operations.py::test_limits_are_saved_while_the_server_is_stopped",
        "sh -c": "tests/web/test_operations.py::test_limits_are_saved_in_redis_beside_the_servers",
    },
    "docs/performance.md": {
        ".venv/bin/flask tim limits": "tests/load/test_load.py::test_the_commands_of_the_document_run",
        ".venv/bin/python -m tests.load": "tests/load/test_load.py::test_the_commands_of_the_document_run",
    },
    "CONTRIBUTING.md": {
        "python3 -m venv .venv": "not run: downloads the packages that run this test",
        ".venv/bin/pytest -q tests/store/": "tests/test_contributing.py::test_its_commands_run",
        "tests/run --quick": "not run: would run this test again",
        ".venv/bin/ruff": "not run: tests/run does it first",
        "# tests/": "tests/test_contributing.py::test_its_commands_run",
        ".venv/bin/pytest -q tests/test_": "tests/test_contributing.py::test_its_commands_run",
        "sed -i": "tests/test_contributing.py::test_its_commands_run",
    },
}
"""The first words of each code block that is no plain text: which test runs it, or why none does."""


def anchors(document: str) -> set[str]:
    """The targets that a link may name behind #, derived from the headings as GitHub does."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_path_that_it_names_exists(document: str) -> None:
    named = {path for path in re.findall(r"`([^`\n]+)`", prose(document)) if OUR_PATH.fullmatch(path)}
    assert not {path for path in named if not list(ROOT.glob(path.rstrip("/")))}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_link_within_the_repository_resolves(document: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / document).parent / path).resolve() if path else ROOT / document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.relative_to(ROOT).as_posix()), link


def test_each_document_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(([\w./-]+\.md)", text("README.md")))
    assert linked >= {document for document in DOCUMENTS if not document.startswith("tim/")} - {"README.md"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_code_block_is_run_or_says_why_not(document: str) -> None:
    expected = RUN.get(document, {})
    found = [code for language, code in blocks(document) if language != "text"]
    for code in found:
        assert [words for words in expected if code.startswith(words)], f"no test runs {code!r}"
    for words, how in expected.items():
        assert [code for code in found if code.startswith(words)], f"there is no block {words!r}"
        if not how.startswith("not run: "):
            file, _, function = how.partition("::")
            assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8")


def mapped(plan: str) -> dict[Path, set[str]]:
    """The folders that a map opens, with the names it lists in each. A line is names, two blanks, what they are."""
    folders: dict[Path, set[str]] = {}
    above: list[tuple[int, Path]] = []
    for line in plan.splitlines():
        parsed = re.match(r"( *)(\S+(?: \S+)*)(?:  |$)", line)
        assert parsed is not None, line
        indent, names = len(parsed[1]), parsed[2].split()
        while above and above[-1][0] >= indent:
            above.pop()
        folder = above[-1][1] if above else Path()
        folders.setdefault(folder, set()).update(name.rstrip("/") for name in names)
        if len(names) == 1 and names[0].endswith("/"):
            above.append((indent, folder / names[0]))
    return folders


@pytest.mark.parametrize(
    ("document", "opened"),
    [
        ("README.md", {".", "tim"}),
        (
            "docs/architecture.md",
            {"tim/store", "tim/store/sqlite", "tim/store/redis", "tim/web", "tim/web/console", "tim/web/tencent"},
        ),
    ],
)
def test_each_map_lists_what_ls_lists(document: str, opened: set[str]) -> None:
    folders = mapped(block(document, "text", "tim/"))
    assert {str(folder) for folder in folders} >= opened
    for folder, names in folders.items():
        assert not [name for name in names if not list((ROOT / folder).glob(name))], folder
        if str(folder) in opened - {"."}:
            there = {path.name for path in (ROOT / folder).iterdir()} - {"__init__.py", "__pycache__"}
            assert {path.name for name in names for path in (ROOT / folder).glob(name)} == there, folder


def test_the_map_lists_modules_from_the_lowest_layer_up() -> None:
    lines = block("README.md", "text", "tim/").splitlines()
    reached = 0
    for line in lines[lines.index(next(line for line in lines if line.startswith("tim/"))) + 1 :]:
        if not line.startswith("  "):
            return
        modules = [f"tim.{name.removesuffix('.py').rstrip('/')}" for name in line.split("  ")[1].split()]
        layers = [LAYER_OF[name] for name in modules if name in LAYER_OF]
        assert min(layers) >= reached, line
        reached = max(layers)


def test_no_paper_outside_the_repository_is_cited() -> None:
    cited = re.compile(r"\b(?:CONTRACT|RELIABILITY|STYLE|DESIGN|PROTOCOL)(?:\.md\b|\b,? row)|\brows? \d+[a-z]? of\b")
    files = [
        path
        for folder in ("tim", "tests", "templates", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".lua", ".sql", ".html", ".c"}
    ]
    files += [ROOT / "app.py", ROOT / "pyproject.toml", *ROOT.glob("*.md")]
    found = [
        path.relative_to(ROOT).as_posix()
        for path in files
        if path != Path(__file__).resolve() and cited.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
