"""The application team's web site: a page that loads the vendor's SDK and nothing else of ours.

It stands on another origin than the server under test, as theirs does.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from tests.support.server import ROOT

NODE_MODULES: Final = Path(os.environ.get("TIM_NODE_MODULES") or ROOT / "node_modules")


@dataclass(frozen=True, slots=True)
class SDK:
    """One of the vendor's packages.

    Attributes:
        file: its script, below `node_modules`.
        name: the global that the script makes.
    """

    package: str
    version: str
    file: str
    name: str

    def __str__(self) -> str:
        return f"{self.package}-{self.version}"


OLD: Final = SDK("tim-js-sdk", "2.27.6", "tim-js-sdk/tim-js.js", "TIM")
NEW: Final = SDK("@tencentcloud/chat", "3.6.6", "@tencentcloud/chat/index.js", "TencentCloudChat")
SDKS: Final = (OLD, NEW)

PAGE: Final = """<!doctype html><meta charset="utf-8"><title>{file}</title>
<script src="/{file}"></script>
<script>
const heard = [];
let sdk;
function create(options) {{
  sdk = {name}.create(options);
  sdk.setLogLevel(4);
  for (const event of Object.values({name}.EVENT)) sdk.on(event, ({{name, data}}) => {{
    heard.push({{name, data: JSON.parse(JSON.stringify(data === undefined ? null : data)), at: Date.now()}});
  }});
}}
const settled = promise => promise.then(
  ({{code, data}}) => ({{code, data: JSON.parse(JSON.stringify(data === undefined ? null : data))}}),
  error => ({{code: error.code || -1, message: error.message}}));
</script>
"""


class Site:
    """A web server for the pages; `policy` is the Content-Security-Policy they are served with."""

    def __init__(self, policy: str = "") -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, policy))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def page(self, sdk: SDK) -> str:
        """Where the page with this SDK is."""
        return f"http://127.0.0.1:{self._server.server_port}/{sdk.name}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, policy: str, *rest: object) -> None:
        self._policy = policy
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        for sdk in SDKS:
            if self.path == f"/{sdk.file}":
                return self._send("text/javascript", (NODE_MODULES / sdk.file).read_bytes())
            if self.path == f"/{sdk.name}":
                return self._send("text/html", PAGE.format(file=sdk.file, name=sdk.name).encode())
        return self._send("text/plain", b"", 404)

    def _send(self, kind: str, content: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self._policy:
            self.send_header("Content-Security-Policy", self._policy)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
