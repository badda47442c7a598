"""The product, which also tells a soak what its process holds: `GET /inside`."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from flask import Response, jsonify
from greenlet import greenlet  # type: ignore[import-untyped]

from app import create_app
from tim.timing import Timing

app = create_app(Timing(renewal_period=1.0))


@app.get("/inside")
def inside() -> Response:
    """What lives here after a collection: threads, greenlets, descriptors, and our objects by their class."""
    gc.collect()
    every = gc.get_objects()
    ours = Counter(type(one).__qualname__ for one in every if str(type(one).__module__).startswith("tim."))
    found: dict[str, Any] = {
        "pid": os.getpid(),
        "threads": threading.active_count(),
        "greenlets": sum(isinstance(one, greenlet) and not one.dead for one in every),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "objects": len(every),
        "ours": ours,
        # Not the proportional share: that grows when another process ends which has mapped the same files.
        "kib": int(Path("/proc/self/smaps_rollup").read_text().partition("Anonymous:")[2].split()[0]),
    }
    return jsonify(found)
