"""Secrets that are made once: private, the same for all who start at once, and never an empty one."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tim.errors import SettingError
from tim.keys import kept_secret

ROOT = Path(__file__).parents[1]

STARTS = """
import sys
from pathlib import Path
from tim.keys import kept_secret

print("ready", flush=True)
sys.stdin.readline()
print(kept_secret(Path(sys.argv[1])))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "instance" / "secret"


def test_a_new_secret_is_256_random_bits_as_hex(path: Path) -> None:
    secret = kept_secret(path)
    assert re.fullmatch("[0-9a-f]{64}", secret)
    assert kept_secret(path.with_name("another")) != secret


def test_the_secret_is_the_same_each_time(path: Path) -> None:
    assert kept_secret(path) == kept_secret(path)


def test_only_its_owner_can_read_it_and_nothing_else_is_left(path: Path) -> None:
    before = os.umask(0)
    try:
        kept_secret(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_several_processes_that_start_at_once_get_one_secret(path: Path, rounds: int) -> None:
    for each in range(rounds):
        file = path.with_name(f"secret-{each}")
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", STARTS, str(file)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(8)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        secrets = {process.communicate(timeout=30)[0].strip() for process in processes}
        assert secrets == {file.read_text()}
        assert all(process.returncode == 0 for process in processes)
    assert len(list(path.parent.iterdir())) == rounds, "no draft is left"


def test_whoever_comes_second_takes_the_secret_of_the_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Both saw that there is no file; the other one's link came first.
    link = os.link

    def slower(draft: Path, target: Path) -> None:
        target.write_text("the first one's")
        link(draft, target)

    monkeypatch.setattr(os, "link", slower)
    assert kept_secret(path) == "the first one's"
    assert list(path.parent.iterdir()) == [path]


def test_a_secret_that_was_put_there_by_hand_is_taken_without_its_line_end(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("by hand\n")
    assert kept_secret(path) == "by hand"


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
def test_an_empty_file_is_refused_and_not_filled(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(SettingError, match="is empty; delete it") as refused:
        kept_secret(path)
    assert str(path) in str(refused.value)
    assert path.read_text() == content


def test_what_cannot_be_a_secret_is_refused_by_its_path(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError) as refused:
        kept_secret(path)
    assert refused.value.name == str(path)


def test_a_folder_in_its_place_and_a_file_for_its_folder_are_refused(path: Path) -> None:
    path.mkdir(parents=True)
    for wrong in (path, path.parent / "secret" / "x" / "y"):
        if wrong != path:
            path.rmdir()
            path.write_text("no folder")
        with pytest.raises(SettingError):
            kept_secret(wrong)
