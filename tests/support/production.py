"""The set-up of docs/operating.md, made from its blocks: machines as the unit runs them, and nginx in front of them."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from tests.support.documents import block
from tests.support.redis_server import RedisServer
from tests.support.server import QUICK_APP, SDK_KEY, SECRET_KEY, Server, copy_of_the_tree
from tests.support.wire import TRUSTING, get
from tim.timing import Timing

OPERATING: Final = "docs/operating.md"
UNIT: Final = block(OPERATING, "ini")
HOST: Final = "127.0.0.1"


def changed(text: str, changes: dict[str, str]) -> str:
    """The text with other words for some that it must have."""
    for old, new in changes.items():
        assert old in text, f"the document has no {old!r}"
        text = text.replace(old, new)
    return text


@functools.cache
def files_made() -> dict[str, str]:
    """What the script that makes the secrets writes, by the name of the file."""
    with TemporaryDirectory() as folder:
        subprocess.run(["sh", "-c", block(OPERATING, "sh", "tim.env <<")], cwd=folder, check=True)
        made = list(Path(folder).iterdir())
        assert all(file.stat().st_mode & 0o077 == 0 for file in made)
        return {file.name: file.read_text() for file in made}


def environment_made() -> dict[str, str]:
    """The settings of each machine, without `TIM_` in front."""
    return dict(line.removeprefix("TIM_").split("=", 1) for line in files_made()["tim.env"].splitlines())


def setting(text: str, name: str) -> str:
    """The value of the line `name=…` in a block."""
    found = re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)
    assert len(found) == 1, f"{len(found)} lines of {name}"
    return str(found[0])


class Alone(Server):
    """The single node of the document, with the default store, on a port of its own."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, app=copy_of_the_tree(home), demo=True)
        command = changed(block(OPERATING, "sh", "gunicorn"), {".venv/bin/": f"{Path(sys.executable).parent}/"})
        self._command = [*shlex.split(command), "-b", f"{HOST}:{self.port}"]


class Machine(Server):
    """One of the machines: a copy of the code that the unit starts, on a port of its own.

    Args:
        home: where the code is to lie.
        workers: how many, where not as many as the unit says.
        timing: how long it waits, where that is not as usual.
    """

    def __init__(self, home: Path, redis: str, *, workers: int | None = None, timing: Timing | None = None) -> None:
        super().__init__(home, app=copy_of_the_tree(home))
        self.settings = environment_made() | {"STORE": redis, "SDK_SECRET_KEY": SDK_KEY, "SECRET_KEY": SECRET_KEY}
        command = setting(UNIT, "ExecStart")
        changes = {"/opt/tim/.venv/bin/": f"{Path(sys.executable).parent}/", "0.0.0.0:8000": f"{HOST}:{self.port}"}
        if workers is not None:
            changes["-w 4"] = f"-w {workers}"
        if timing is not None:
            shutil.copy2(QUICK_APP, home / "quick_app.py")
            changes["app:app"] = "quick_app:app"
            self.environment["QUICK_TIMING"] = json.dumps(asdict(timing))
        self._command = shlex.split(changed(command, changes))

    def reloads(self) -> None:
        """What `systemctl reload` does."""
        command = changed(setting(UNIT, "ExecReload"), {"$MAINPID": str(self.pid())})
        subprocess.run(shlex.split(command), check=True)

    def workers(self) -> set[int]:
        """The processes that answer."""
        children = Path(f"/proc/{self.pid()}/task/{self.pid()}/children").read_text()
        return set(map(int, children.split()))


class Nginx(Server):
    """A real nginx with the configuration of the document, in front of two ports."""

    def __init__(self, home: Path, one: int, other: int, *, changes: dict[str, str] | None = None) -> None:
        super().__init__(home)
        certificate, key = home / "certificate.pem", home / "key.pem"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        made = ["openssl", "req", "-x509", "-subj", "/CN=localhost", "-days", "2", *curve, *files]
        subprocess.run(made, check=True, capture_output=True)
        ours = {
            "listen 443": f"listen {HOST}:{self.port}",
            "/etc/ssl/im.example.com.pem": str(certificate),
            "/etc/ssl/private/im.example.com.key": str(key),
            "/var/log/nginx": str(home),
            "10.0.0.11:8000": f"{HOST}:{one}",
            "10.0.0.12:8000": f"{HOST}:{other}",
        }
        (home / "tim.conf").write_text(changed(block(OPERATING, "nginx"), ours | (changes or {})))
        own = [f"{name}_temp_path {home / name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
        user = "user root;" if os.getuid() == 0 else ""
        (home / "nginx.conf").write_text(
            f"daemon off; pid {home / 'pid'}; worker_processes 2; {user}\n"
            f"events {{ worker_connections 512; }}\nhttp {{ {' '.join(own)} include {home / 'tim.conf'}; }}\n"
        )
        # Where Debian has it, and not everybody looks.
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
        self._command = [nginx, "-p", str(home), "-e", "stderr", "-c", str(home / "nginx.conf")]

    @property
    def address(self) -> str:
        return f"https://{HOST}:{self.port}"

    def answers(self) -> bool:
        """Whether it takes connections; those behind it may not answer yet."""
        with suppress(OSError), socket.create_connection((HOST, self.port), 2) as line:
            TRUSTING.wrap_socket(line).close()
            return True
        return False

    def logs(self) -> str:
        """All that it has written, to whichever file."""
        return "".join(file.read_text() for file in self.home.glob("*.log"))


@dataclass(frozen=True)
class Site:
    """A Redis, two machines with a worker each, and who stands in front of them."""

    front: Nginx
    machines: tuple[Machine, Machine]

    def streams(self) -> list[int]:
        """How many each of the machines has open."""
        found = [re.search(r"^tim_streams (\d+)", get(one, "/metrics").body, re.MULTILINE) for one in self.machines]
        return [int(each[1]) for each in found if each]


S = TypeVar("S", bound=Server)


@contextmanager
def running(server: S, *, start: bool = True) -> Iterator[S]:
    """The server, started unless told otherwise, and ended afterwards in whatever state it is."""
    try:
        if start:
            server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def running_site(home: Path, redis: RedisServer) -> Iterator[Site]:
    with (
        running(Machine(home / "one", redis.url, workers=1)) as one,
        running(Machine(home / "other", redis.url, workers=1)) as other,
        running(Nginx(home / "nginx", one.port, other.port)) as front,
    ):
        yield Site(front, (one, other))
