"""The command: `python -m tests.load http://127.0.0.1:8000 --face sdk login storm --picture load.svg`."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
from collections.abc import Awaitable, Callable
from dataclasses import fields
from pathlib import Path
from typing import Final

from tests.load.amounts import Amounts
from tests.load.crowd import FACES, Crowd
from tests.load.idle import idle
from tests.load.logins import evict, login
from tests.load.messages import messages
from tests.load.picture import picture
from tests.load.processes import Processes
from tests.load.progress import Progress
from tests.load.report import report
from tests.load.result import Result
from tests.load.storm import storm
from tests.load.target import NotOwn, Target
from tests.load.usersigs import NoUserSigs, UserSigs

KINDS: Final[dict[str, Callable[[Crowd, Amounts, Processes], Awaitable[Result]]]] = {
    "idle": idle,  # first, as a process keeps the memory of what it has done before
    "login": login,
    "evict": evict,
    "storm": storm,
    "messages": messages,
}


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser("python -m tests.load", description=__doc__)
    made.add_argument("url", help="the server, such as http://127.0.0.1:8000")
    made.add_argument("kinds", nargs="*", help=f"which kinds of load; all by default: {', '.join(KINDS)}")
    made.add_argument("--face", choices=FACES, default="sdk", help="pages of the vendor's SDK, or our own tabs")
    made.add_argument("--seats", type=int, default=1, help="Online Web Instances of the app; default 1")
    for field in fields(Amounts):
        kind = float if field.name == "seconds" else int
        made.add_argument(f"--{field.name}", type=kind, default=field.default, help=field.metadata["help"])
    made.add_argument(
        "--pids",
        type=pids,
        default=[],
        help="processes of the server on this machine, separated by commas, to measure what they take",
    )
    made.add_argument("--picture", type=Path, help="an SVG to write")
    made.add_argument("--yes-this-is-mine", action="store_true", help="put load on a server that is not this machine")
    return made


def pids(words: str) -> list[int]:
    """Return the numbers of processes of this machine, which have commas between them."""
    found = words.split(",")
    for pid in found:
        if not (pid.isdecimal() and Path("/proc", pid).exists()):
            raise argparse.ArgumentTypeError(f"there is no process {pid!r}")
    return [int(pid) for pid in found]


async def run(options: argparse.Namespace, results: list[Result]) -> None:
    """Put the load on the server, and add the result of each kind once it has ended.

    Raises:
        ValueError, NotOwn, NoUserSigs, OSError.
    """
    target = Target.at(options.url, own=options.yes_this_is_mine)
    servers = Processes(options.pids)
    crowd = Crowd(target, options.face, UserSigs(target, os.environ), options.seats, Progress())
    amounts = Amounts(**{field.name: getattr(options, field.name) for field in fields(Amounts)})
    for kind in options.kinds or KINDS:
        results.append(await KINDS[kind](crowd, amounts, servers))


def main() -> int:
    """Read the command line, put the load on the server, print the report and write the picture.

    Returns:
        0, or 1 where anything has failed, or 130 where it was interrupted: what had ended before is reported.
    """
    options = parser().parse_intermixed_args()
    for name in ("seats", *(field.name for field in fields(Amounts))):
        if not getattr(options, name) > 0:
            parser().error(f"--{name} must be more than 0")
    if unknown := set(options.kinds) - KINDS.keys():
        parser().error(f"there is no load {min(unknown)!r}; there are {', '.join(KINDS)}")
    if options.picture and not os.access(options.picture.parent, os.W_OK):
        parser().error(f"--picture: {options.picture.parent} is no folder to write in")
    # Each session is a connection, and a tab has a second one now and then.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    results: list[Result] = []
    code = 0
    try:
        asyncio.run(run(options, results))
    except KeyboardInterrupt:
        sys.stderr.write("load: interrupted\n")
        code = 130
    except (ValueError, NotOwn, NoUserSigs, OSError) as error:
        sys.stderr.write(f"load: {error}\n")
        code = 1
    sys.stdout.write(report(results))
    if options.picture and results:
        options.picture.write_text(picture(results), encoding="utf-8")
    return code or int(any(result.failures for result in results))


if __name__ == "__main__":
    sys.exit(main())
