"""An application that answers how many connections its worker accepts in a pass of its event loop."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

from gevent.server import StreamServer


def app(_: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    """The number of each server that listens in this process, one a line."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{one.max_accept}\n".encode() for one in gc.get_objects() if isinstance(one, StreamServer)]
