"""What gunicorn reads by itself where it is started here.

Its own lines have the form that TIM_LOG names. Its workers accept when they are idle, and share what comes.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from mmap import mmap
from pathlib import Path

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger
from gunicorn.workers import ggevent
from gunicorn.workers.base import Worker

# Loaded by its path and not as `tim.web.logs`: a worker inherits what the master has imported, and would go on with the
# old code after a rolling restart.
_spec = spec_from_file_location("log_lines", Path(__file__).parent / "tim" / "web" / "logs.py")
assert _spec is not None
assert _spec.loader is not None
_logs = module_from_spec(_spec)
_spec.loader.exec_module(_logs)

# How many connections each worker has open, for `tim.web.listener`; 0 where there is no worker. All workers share this
# memory. A reload makes a new one: new workers leave nothing to those that are to stop.
MOST_WORKERS = 128
connections = memoryview(mmap(-1, 4 * MOST_WORKERS)).cast("i")
# More than any worker has: the others leave nothing to one that counts so many.
NOT_LISTENING = 2**30
# Seconds between two checks whether a replaced worker has ended.
LOOK = 0.05


class CleanLogger(Logger):
    """gunicorn's logger, without secrets and control characters; in JSON where TIM_LOG says so."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        _logs.clean_lines()
        if os.environ.get("TIM_LOG") == "json":
            _logs.write_json([*self.error_log.handlers, *self.access_log.handlers])


logger_class = CleanLogger
# By default gunicorn takes the prefix of all paths from a header SCRIPT_NAME of whoever is on this machine, which is a
# proxy with the headers of any client.
forwarder_headers = ""


def pre_fork(_: Arbiter, worker: Worker) -> None:
    if 0 not in connections:
        raise HaltServer(
            f"at most {MOST_WORKERS} workers share one address; start several gunicorns behind a balancer", 3
        )
    free = connections.tolist().index(0)
    worker.counter = connections[free : free + 1]
    worker.counter[0] = NOT_LISTENING


def post_fork(arbiter: Arbiter, worker: Worker) -> None:
    """A SQLite file serves one process: on a reload, a worker waits until the ones that it replaces have ended."""
    if os.environ.get("TIM_STORE", "").startswith("redis"):
        return
    # gunicorn installs the worker's handlers later; those of the master, which are inherited, would ignore a stop.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    replaced = [pid for pid, other in arbiter.WORKERS.items() if other.age <= worker.age - arbiter.num_workers]
    while any(map(_is_running, replaced)):
        worker.notify()
        time.sleep(LOOK)


def _is_running(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def child_exit(_: Arbiter, worker: Worker) -> None:
    if hasattr(worker, "counter"):  # a worker from before a reload may have been started without this function
        worker.counter[0] = 0


def post_worker_init(worker: Worker) -> None:
    """Caches gunicorn's settings as attributes, and installs `tim.web.listener` and the SDK's fast path.

    gunicorn looks each setting up in a table of objects, dozens of them for a request, which took 3 % of a login.
    """
    vars(worker.cfg).update({name: setting.get() for name, setting in worker.cfg.settings.items()})
    make = import_module("tim.web.listener").make
    fast_path = import_module("tim.web.tencent.fast_path").make_fast_path(worker.wsgi, worker.cfg)
    ggevent.StreamServer = make(worker.counter, connections, alone=worker.cfg.workers == 1, fast_path=fast_path)
