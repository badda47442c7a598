"""What gunicorn reads by itself where it is started here: its own lines have the form that TIM_LOG names."""

from __future__ import annotations

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from gunicorn.config import Config
from gunicorn.glogging import Logger

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
