"""What gunicorn reads by itself where it is started here.

Its own lines have the form that TIM_LOG names, and its workers accept new connections while they are busy.
"""

from __future__ import annotations

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from gevent.server import StreamServer
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers import ggevent
from gunicorn.workers.base import Worker

# Connections that each of several workers accepts in one pass of its event loop. gunicorn sets 1: a pass of a busy
# worker serves every open connection that has something to do, so that a new one waited up to 5 s for its turn. With
# more than a few, each login waits for the beginnings of many others, and so does the kick that it causes.
ACCEPTS_A_PASS = 4

# Loaded by its path and not as `tim.web.logs`: a worker inherits what the master has imported, and would go on with the
# old code after a rolling restart.
_spec = spec_from_file_location("log_lines", Path(__file__).parent / "tim" / "web" / "logs.py")
assert _spec is not None
assert _spec.loader is not None
_logs = module_from_spec(_spec)
_spec.loader.exec_module(_logs)


class CleanLogger(Logger):
    """gunicorn's logger, without secrets and control characters; in JSON where TIM_LOG says so."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        _logs.clean_lines()
        if os.environ.get("TIM_LOG") == "json":
            _logs.write_json([*self.error_log.handlers, *self.access_log.handlers])


logger_class = CleanLogger


class Listener(StreamServer):
    """gunicorn's listening socket. gunicorn has no option for the number, and sets 1 where several workers share it."""

    def start_accepting(self) -> None:
        if self.max_accept == 1:
            self.max_accept = ACCEPTS_A_PASS
        super().start_accepting()


ggevent.StreamServer = Listener


def post_worker_init(worker: Worker) -> None:
    """Puts the settings where Python finds them at once.

    gunicorn looks each one up in a table of objects, dozens of them for a request, which took 3 % of a login.
    """
    vars(worker.cfg).update({name: setting.get() for name, setting in worker.cfg.settings.items()})
