"""What the documents beside README link to is there, and their bounds are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tim import hub, model, rules
from tim.usersig import MAX_CLOCK_LEAD, MAX_SIZE
from tim.web import lobby
from tim.web.guard import MAX_REQUEST
from tim.web.identity import NOTICE_LIFE

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LIMITS = model.Limits()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_link_within_the_project_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        assert "://" in target or (document.parent / target).exists(), target


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("Forged or altered UserSig", f"{MAX_SIZE // 1024} KiB"),
        ("Guessing UserSigs", f"{LIMITS.failures_per_account} a minute for one account from one address"),
        ("Guessing UserSigs", f"{LIMITS.failures_per_address} from one address; then {rules.PAUSE} s"),
        ("Stolen tab cookie", f"for {rules.REMEMBERED // 86400} days"),
        ("Reading why another tab", f"{NOTICE_LIFE // 60} minutes"),
        ("Large requests", f"{MAX_REQUEST // 1024} KiB a request"),
        ("Large requests", f"{rules.MAX_TEXT // 1024} KiB of text"),
        ("Too many connections", f"{hub.MAX_STREAMS} streams a node"),
        ("Too many connections", f"{lobby.MOST} without a login, {lobby.MOST_OF_ADDRESS} of them from one address"),
        ("Too many messages", f"{rules.MESSAGES_A_MINUTE} a minute from one instance"),
        ("Slow or silent readers", f"{hub.MAILBOX} items, {hub.MAILBOX_BYTES // 1024} KiB of text"),
        ("A signer's clock ahead", f"up to {MAX_CLOCK_LEAD} s ahead"),
    ],
)
def test_each_bound_of_security_is_the_one_in_the_code(attack: str, words: str) -> None:
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    row = next(line for line in security.splitlines() if line.startswith(f"| {attack}"))
    assert words in row
