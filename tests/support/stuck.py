"""A reader that can be made to stop reading: a process of its own, to be sent SIGSTOP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.support.server import ROOT
from tests.support.wire import ScriptTab

READS: Final = """
import sys
from types import SimpleNamespace
from tests.support.wire import Socket
port, path, cookie = sys.argv[1:]
server = SimpleNamespace(port=int(port), address=f"http://127.0.0.1:{port}")
stream = Socket(server, path, cookie=cookie, buffer=2048)
stream.hears('data-state="ready"')
print("ready", flush=True)
while stream.code is None:
    stream.hears_more(1)
"""


@contextmanager
def reading(tab: ScriptTab) -> Iterator[subprocess.Popen[str]]:
    """A process that reads the stream of `tab`, with as small a buffer as there is. It ends with the block."""
    command = [sys.executable, "-c", READS, str(tab.server.port), tab.path + "events", tab.cookie]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()
