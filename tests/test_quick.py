"""`--quick` runs the tests of the embedded engine, and leaves out each test that needs more than Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TESTS: Final = """
import shutil, pytest

@pytest.mark.usefixtures("make_redis")
def test_on_redis(): raise AssertionError("left out")

@pytest.mark.usefixtures("make_redis_cluster")
def test_on_a_cluster(): raise AssertionError("left out")

@pytest.mark.usefixtures("not_quick")
def test_that_says_so(): raise AssertionError("left out")

def test_on_each_engine(engine): assert engine.name == "sqlite-memory"

def test_of_python_alone():
    assert not shutil.which("redis-server") and not shutil.which("chromium-headless-shell") and not shutil.which("node")
"""


def quick(*words: str | Path) -> str:
    """What pytest prints with `--quick`."""
    command = [sys.executable, "-m", "pytest", "--quick", "-q", "-p", "no:cacheprovider", *map(str, words)]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_what_needs_another_program_is_left_out_and_the_rest_finds_none(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    found = quick("-p", "tests.conftest", "--rootdir", tmp_path, tmp_path)
    assert "2 passed, 6 deselected" in found, "one engine and Python alone; three engines and what asks for more"


def test_browsers_and_servers_of_one_test_are_left_out_and_shared_servers_stay() -> None:
    found = quick("--collect-only", ROOT / "tests/web/test_logout.py", ROOT / "tests/web/test_accessibility.py")
    assert "test_logging_out_twice_is_logging_out_once" in found
    assert "test_axe_finds_nothing" not in found
