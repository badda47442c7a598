"""Each bound that a document states is the constant in the code."""

from __future__ import annotations

import re

import pytest

from tests.support.documents import ROOT, row
from tim import backlog, codes, hub, input_rules, mailbox, model, post, rules, setting_rules, tab, timing, usersig
from tim.timing import DEFAULT
from tim.web import framing, guard, identity, inbound, lobby, transport
from tim.web.tencent import frames

PROMISES = "docs/promises.md"
LIMITS = model.Limits()
DAY = 86400


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        ("Instances of one account", f"1 to {rules.MAX_INSTANCES}, {LIMITS.online_web_instances} by default"),
        ("A login with a valid UserSig", f"more than {usersig.MAX_CLOCK_LEAD} s ahead"),
        ("A login at the limit, where the policy is `reject`", f"refused with {codes.AT_LIMIT}"),
        ("A login at the limit, where the policy is `ask`", f"for {identity.CHOICE_LIFE} s"),
        ("An evicted tab", f"within {DEFAULT.renewal_period:.0f} s"),
        ("Why and by what", f"for {rules.REMEMBERED // DAY} days, of the newest {rules.ENDS_KEPT} ends"),
        ("Why and by what", f"for {identity.NOTICE_LIFE // 60} minutes"),
        ("A closed, sleeping or unplugged tab", f"for {timing.DETACH_GRACE:.0f} s"),
        ("A tab stays logged in", f"notified within {DEFAULT.renewal_period:.0f} s"),
        ("A tab stays logged in", f"valid for {rules.REMEMBERED // DAY} days"),
        ("*That wasn't me*", f"for {rules.NOT_ME_LIFE // 60} minutes"),
        ("The name of an instance", f"up to {input_rules.MAX_NAME} characters"),
        ("A peer that is silent", f"detached within {DEFAULT.page_silence:.0f} s"),
        ("A peer that is silent", f"`reconnecting` within {DEFAULT.page_silence:.0f} s"),
        ("A message", f"up to {input_rules.MAX_TEXT // 1024} KiB"),
        ("A message", f"kept for {rules.REMEMBERED // DAY} days"),
        ("A message", f"newest {rules.MAX_LOG // 2**20} MiB"),
        ("A message", f"counts {rules.MESSAGE_OVERHEAD} bytes"),
        ("Messages of one instance", f"{LIMITS.messages_a_minute} in a minute"),
        ("Messages of one instance", f"1 to {setting_rules.MOST_MESSAGES}"),
        ("Messages of one instance", f"with {codes.TOO_MANY_REQUESTS}"),
        ("A message sent again", f"for {rules.MINUTE} s"),
        ("Failed UserSigs", f"more than {LIMITS.failures_per_account} in a minute for one account from one address"),
        ("Failed UserSigs", f"or {LIMITS.failures_per_address} from one address"),
        ("Failed UserSigs", f"any further failure waits {rules.PAUSE} s"),
        ("A page of the official SDK", f"newest {tab.MISSED} messages"),
        ("A page of the official SDK", f"({DEFAULT.hello_interval} s)"),
        ("A frame of the official SDK", f"up to {frames.MAX_FRAME // 1024} KiB"),
        ("A frame of the official SDK", f"up to {frames.LONGEST_FRAME // 2**20} MiB"),
        ("A frame of the official SDK", f"{codes.MESSAGE_TOO_LONG} (a message) or {codes.BODY_TOO_LARGE}"),
        ("A frame of the official SDK", f"for each {frames.MAX_FRAME // 1024} KiB"),
        ("A frame of the official SDK", f"Above {inbound.FRAMES_PER_SECOND} a second"),
        ("A frame of the official SDK", f"over {inbound.CONTROL_BURST} pings, pongs or parts of messages at once"),
        ("A node that dies", f"after {DEFAULT.lease:.0f} s of silence"),
        ("A node that dies", f"for {timing.DETACH_GRACE:.0f} s more"),
        ("Redis is away", f"within {DEFAULT.redis_queue:.0f} s"),
        ("Redis is away", f"within {DEFAULT.renewal_period:.0f} s of its return"),
        ("Redis is away", f"after {DEFAULT.redis_timeout:.0f} s"),
        ("Saved limits", f"begins {2 * DEFAULT.settings_age:.0f} s later"),
        ("Tabs of one node", f"{hub.MAX_STREAMS};"),
        ("A connection of the official SDK without", f"after {DEFAULT.lobby:.0f} s"),
        ("A connection of the official SDK without", f"more than {lobby.MOST_OF_ADDRESS} from one address"),
        ("A connection of the official SDK without", f"or {lobby.MOST} on one node"),
        ("A slow reader", f"{mailbox.MAILBOX} items or {mailbox.MAILBOX_BYTES // 1024} KiB"),
        ("A slow reader", f"nothing for {DEFAULT.write_stall:.0f} s"),
        ("A slow reader", f"{transport.SLOWEST // 1024} KiB a second"),
        ("A slow reader", f"newest {tab.MISSED} messages"),
    ],
)
def test_each_bound_of_the_promises_is_the_one_in_the_code(promise: str, words: str) -> None:
    assert words in row(PROMISES, promise)[0]


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        ("An evicted tab", f"within {DEFAULT.renewal_period:.0f} s"),
        ("*That wasn't me*", f"for {rules.NOT_ME_LIFE // 60} minutes"),
        ("A closed or sleeping tab", f"for {timing.DETACH_GRACE:.0f} s"),
        ("An acknowledged message", f"for {rules.REMEMBERED // DAY} days"),
        ("Redis is away", f"within {DEFAULT.renewal_period:.0f} s of its return"),
        ("`TIM_DETACH_GRACE`", f"`{timing.DETACH_GRACE:.0f}`"),
        ("`TIM_SDK_APP_ID`", f"`{model.DEMO_APP}`"),
        ("`TIM_ONLINE_WEB_INSTANCES`", f"1 to {rules.MAX_INSTANCES} `{LIMITS.online_web_instances}`"),
    ],
)
def test_each_bound_of_the_readme_is_the_one_in_the_code(promise: str, words: str) -> None:
    assert words in " ".join(row("README.md", promise))


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        ("At least once", f"for {rules.EVENT_LIFE // 3600} h"),
        ("In order", f"frozen for {DEFAULT.webhook_lease:.0f} s"),
        ("Attempts", f"{DEFAULT.webhook_timeout:.0f} s for each"),
        ("Attempts", f"at most {post.MAX_ANSWER // 1024} KiB"),
        ("Attempts", f"is {DEFAULT.webhook_pause:.0f} s and doubles up to {rules.LONGEST_PAUSE} s"),
        ("Attempts", f"at least every {backlog.LONGEST_HOLD} s"),
        ("Bounded", f"{rules.ACCOUNT_EVENTS} events of an account and {rules.EVENTS_KEPT} of an app"),
        ("Bounded", f"the {rules.SHARDS} shards"),
    ],
)
def test_each_bound_of_the_webhook_is_the_one_in_the_code(promise: str, words: str) -> None:
    assert words in row("docs/webhook.md", promise)[0]
    assert f"for {rules.EVENT_LIFE // 3600} h" in row(PROMISES, "The [webhook]")[0]


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("Forged or altered UserSig", f"{usersig.MAX_SIZE // 1024} KiB"),
        ("Guessing UserSigs", f"{LIMITS.failures_per_account} a minute for one account from one address"),
        ("Guessing UserSigs", f"{LIMITS.failures_per_address} from one address; then {rules.PAUSE} s"),
        ("Stolen tab cookie", f"for {rules.REMEMBERED // DAY} days"),
        ("Reading why another tab", f"{identity.NOTICE_LIFE // 60} minutes"),
        ("A login by a thief", f"{rules.NOT_ME_LIFE // 60} minutes"),
        ("Large requests", f"{guard.MAX_REQUEST // 1024} KiB a request"),
        (
            "Large requests",
            f"{frames.MAX_FRAME // 1024} KiB a frame, {framing.BEGINNING // 1024} KiB of a longer frame",
        ),
        ("Large requests", f"{input_rules.MAX_TEXT // 1024} KiB of text"),
        ("Too many connections", f"{hub.MAX_STREAMS} streams a node"),
        ("Too many connections", f"{lobby.MOST} without a login, {lobby.MOST_OF_ADDRESS} of them from one address"),
        ("Too many messages", f"{LIMITS.messages_a_minute} a minute from one instance"),
        ("Slow or silent readers", f"{mailbox.MAILBOX} items, {mailbox.MAILBOX_BYTES // 1024} KiB of text"),
        ("A signer's clock ahead", f"up to {usersig.MAX_CLOCK_LEAD} s ahead"),
    ],
)
def test_each_bound_of_security_is_the_one_in_the_code(attack: str, words: str) -> None:
    assert words in " ".join(row("SECURITY.md", attack))


def test_an_open_page_renews_its_cookie_as_often_as_the_table_says() -> None:
    hours = re.search(r"every (\d+) hours", row(PROMISES, "A tab stays logged in")[0])
    assert hours is not None
    page = (ROOT / "templates" / "tab.html").read_text(encoding="utf-8")
    assert f'hx-trigger="every {int(hours[1]) * 60}m"' in page


def test_a_page_gives_up_a_silent_connection_after_as_long_as_the_table_says() -> None:
    page = (ROOT / "templates" / "tab.html").read_text(encoding="utf-8")
    assert page.count('delay:{{ "%gs"|format(silence) }}') == 2
    assert DEFAULT.page_silence == 2 * DEFAULT.ping_period
