"""The static files: compressed once, and kept by browsers as long as their content stays.

Each address in a page has the hash of the content. A browser that has loaded one page loads none of them again, and
another content has another address.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from flask import Flask, Response, abort, request

YEAR: Final = "public, max-age=31536000, immutable"
"""Cache-Control of an address with the hash of what it answers; an answer to any other is asked for again each time."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent.

    Attributes:
        hash: of its content; the shorter of the two below is sent to a browser that can unpack.
    """

    type: str
    hash: str
    plain: bytes
    packed: bytes


def install(app: Flask) -> None:
    """Serves the files of `app`, and gives `static` to its templates: the address of the file with a name."""
    paths = {path.name: path for path in Path(app.static_folder or "").iterdir()}

    def file(name: str) -> StaticFile:
        return _read(paths[name])

    if not app.debug:  # a developer edits them
        file = cache(file)

    def send(filename: str) -> Response:
        if filename not in paths:
            abort(404)
        return _answer(file(filename))

    below = app.static_url_path

    def address(name: str) -> str:
        return f"{request.script_root}{below}/{name}?v={file(name).hash}"

    app.view_functions["static"] = send
    app.jinja_env.globals["static"] = address


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return StaticFile(kind, hashlib.sha256(content).hexdigest()[:16], content, gzip.compress(content, mtime=0))


def _answer(file: StaticFile) -> Response:
    """The file, or 304 where the browser has it."""
    packed = len(file.packed) < len(file.plain) and request.accept_encodings["gzip"] > 0
    response = Response(file.packed if packed else file.plain, mimetype=file.type)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = YEAR if request.args.get("v") == file.hash else "no-cache"
    response.set_etag(f"{file.hash}-gzip" if packed else file.hash)
    response.make_conditional(request)
    return response
