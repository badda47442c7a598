"""Secrets that are made once: private, the same for all who start at once, and never an empty one."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tim import Backend
from tim.errors import SettingError
from tim.secret_file import PUBLISHED, check_secret, kept_secret, secret_beside

ROOT = Path(__file__).parents[1]

STARTS = """
import sys
from pathlib import Path
from tim.secret_file import kept_secret

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
        target.touch(0o600)
        target.write_text("the secret of the first one")
        link(draft, target)

    monkeypatch.setattr(os, "link", slower)
    assert kept_secret(path) == "the secret of the first one"
    assert list(path.parent.iterdir()) == [path]


def test_a_secret_that_was_put_there_by_hand_is_taken_without_its_line_end(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    path.write_text("a secret by hand\n")
    assert kept_secret(path) == "a secret by hand"


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
def test_an_empty_file_is_refused_and_not_filled(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(SettingError, match="is empty; delete it") as refused:
        kept_secret(path)
    assert str(path) in str(refused.value)
    assert path.read_text() == content


def test_what_cannot_be_a_secret_is_refused_by_its_path(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o600)
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


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_a_file_that_other_users_can_open_is_refused(mode: int, path: Path) -> None:
    secret = kept_secret(path)
    path.chmod(mode)
    with pytest.raises(SettingError, match="chmod 600, or set TIM_SECRET_KEY") as refused:
        kept_secret(path, "TIM_SECRET_KEY")
    assert secret not in str(refused.value)
    path.chmod(0o640)  # for a group of the owner's choice
    assert kept_secret(path) == secret


@pytest.mark.parametrize("content", ["short", "x" * 64, "abcd" * 16, *sorted(PUBLISHED)])
def test_a_file_with_what_can_be_guessed_is_refused(content: str, path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(SettingError, match="openssl rand -hex 32") as refused:
        kept_secret(path)
    assert str(path) in str(refused.value)
    assert content not in str(refused.value).replace(str(path), "")


@pytest.mark.usefixtures("not_quick")
def test_what_openssl_makes_is_a_secret() -> None:
    for _ in range(20):
        made = subprocess.run(["openssl", "rand", "-hex", "32"], capture_output=True, text=True, check=True).stdout
        assert check_secret(made.strip()) == made.strip()


FULL = """
import resource, sys
from pathlib import Path
from tim.errors import SettingError
from tim.secret_file import kept_secret

resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    kept_secret(Path(sys.argv[1]), "TIM_SECRET_KEY")
except SettingError as error:
    print(error)
"""


def test_where_nothing_can_be_written_nothing_is_left_and_the_way_out_is_named(path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", FULL, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == (
        f"{path}: cannot be used: File too large; let this server read and write its folder, or set TIM_SECRET_KEY\n"
    )
    assert list(path.parent.iterdir()) == []


# The key of an app that is given none


def test_a_store_in_a_file_has_its_key_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "stores" / "tim.db"
    key = secret_beside(f"sqlite:///{path}")
    assert secret_beside(f"sqlite:///{path}") == key
    assert (path.parent / "sdk_secret_key").read_text() == key


def test_a_store_in_memory_or_on_redis_leaves_no_key_in_the_folder_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert secret_beside("sqlite://") != secret_beside("sqlite://")
    with pytest.raises(SettingError, match="secret_key: must be given with a store on Redis"):
        secret_beside("redis://127.0.0.1:6379/0")
    Backend("sqlite://").close()
    assert list(tmp_path.iterdir()) == []
