"""A reload of gunicorn on a SQLite file, which one process has at a time."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support.gunicorn import children
from tests.support.server import Server
from tests.support.waiting import until


@pytest.mark.usefixtures("not_quick")
def test_a_new_worker_waits_until_the_old_one_has_left_the_file(tmp_path: Path) -> None:
    server = Server(tmp_path, gevent=True)
    try:
        server.start()
        [old] = children(server.pid())
        with socket.create_connection(("127.0.0.1", server.port)):  # the old one waits for what it says
            os.kill(server.pid(), signal.SIGHUP)
            until(lambda: old not in children(server.pid()), "the old worker does not end")
        until(server.answers, server.log)
        server.has_no_traceback()
        assert "is in use by process" not in server.log()
    finally:
        server.stop()
