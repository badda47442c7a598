"""The page that the README gives to application teams works as it stands there, with either SDK."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.sdk.conftest import Account
from tests.sdk.site import NEW, NODE_MODULES, OLD, SDK
from tests.web.conftest import NewWindow
from tests.web.server import APP, ROOT, SDK_KEY, Server
from tests.web.wire import log_in

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, has: str) -> str:
    """The README's block of code in this language that has these words in it."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(code for code in found if has in code)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("sdk", [OLD, NEW], ids=str)
def test_its_page_is_ready_and_then_kicked_out(
    sdk: SDK, server: Server, new_window: NewWindow, account: Account, tmp_path: Path
) -> None:
    page = block("html", "proxyServer").replace("ws://127.0.0.1:5000", f"ws://127.0.0.1:{server.port}")
    page = page.replace(f"node_modules/{OLD.file}", f"node_modules/{sdk.file}").replace("TIM.", f"{sdk.name}.")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=site.serve_forever, daemon=True).start()
    user = account("reader")
    address = f"http://127.0.0.1:{site.server_port}/page.html#{user}/{server.user_sig(user)}"
    first, second = new_window().new_page(), new_window().new_page()
    first.goto(address)
    expect(first.locator("body")).to_contain_text("ready", timeout=20_000)
    second.goto(address)
    expect(first.locator("body")).to_contain_text("kicked out: multipleAccount", timeout=20_000)
    expect(second.locator("body")).to_contain_text("ready", timeout=20_000)
    site.shutdown()
    site.server_close()


def test_its_page_has_ten_lines() -> None:
    assert len(block("html", "proxyServer").splitlines()) <= 12


def test_the_usersig_it_makes_for_ci_logs_in(server: Server, account: Account) -> None:
    line = next(line for line in block("sh", "gen_sig").splitlines() if "gen_sig" in line)
    code = re.search(r'python -c "(.*)"$', line)
    assert code is not None
    words = code[1].replace("a-key-for-tests-only-0123456789", SDK_KEY).replace("1400000000", str(APP))
    made = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=30, check=True)
    assert log_in(server, "alice", made.stdout.strip()).goes_online().status == 101
