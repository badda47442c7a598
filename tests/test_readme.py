"""The README is true: its example runs, its settings are all there are, its lines are those of longer documents."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.support.documents import DOCUMENTS, ROOT, block, text
from tim.web import settings

README = text("README.md")


def test_the_example_prints_what_the_readme_says() -> None:
    example = block("README.md", "python")
    run = subprocess.run(
        [sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert run.stderr == ""
    assert run.stdout.splitlines() == re.findall(r"# prints (.*)", example)


def test_its_lines_for_the_sdk_are_those_of_the_page() -> None:
    page = block("docs/official-sdk.md", "html").splitlines()
    assert {line.strip() for line in block("README.md", "js").splitlines()} <= {line.strip() for line in page}


def test_each_setting_has_a_row_and_each_row_is_a_setting() -> None:
    rows = re.findall(r"^\| `TIM_(\w+)` \|", README, re.MULTILINE)
    assert sorted(rows) == sorted(settings.KNOWN)


def test_it_is_read_in_five_minutes() -> None:
    assert len(README.splitlines()) <= 165


def test_no_document_has_a_secret() -> None:
    documents = "\n".join(map(text, DOCUMENTS))
    values = re.findall(r"_KEY=(\S+)", documents) + re.findall(r"(?:requirepass|redis://:)\s*([^\s@]+)", documents)
    assert len(values) >= 5
    assert [value for value in values if not value.startswith(("$(openssl", "$password"))] == []
