"""Every route of the product, read from the product: a route that is added tomorrow is tested tomorrow."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from dataclasses import dataclass

from tests.support.server import ROOT, SDK_KEY, SECRET_KEY, clean_environment

LIST = """
import json
from app import app
print(json.dumps([[rule.rule, sorted(rule.methods), rule.websocket] for rule in app.url_map.iter_rules()]))
"""
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Route:
    """A rule as Flask writes it, and the methods it takes."""

    rule: str
    methods: frozenset[str]
    websocket: bool = False

    def __str__(self) -> str:
        return self.rule

    @property
    def is_console(self) -> bool:
        return self.rule == "/console" or self.rule.startswith("/console/")

    def path(self, instance: str, other: str = "0" * 32) -> str:
        """An address that the rule matches. Any other variable of it becomes "x", or 1."""
        known = (
            self.rule.replace("<instance>", instance).replace("<other>", other).replace("<path:filename>", "tim.css")
        )
        return re.sub(r"<[^>]+>", "x", re.sub(r"<int:[^>]+>", "1", known))


def routes() -> list[Route]:
    """All but those of the console, which answer to operators alone."""
    return [route for route in every_route() if not route.is_console]


def console_routes() -> list[Route]:
    """Those of the operator's console."""
    return [route for route in every_route() if route.is_console]


@functools.cache
def every_route() -> tuple[Route, ...]:
    listed = subprocess.run(
        [sys.executable, "-c", LIST],
        cwd=ROOT,
        env=clean_environment(TIM_STORE="sqlite://", TIM_SDK_SECRET_KEY=SDK_KEY, TIM_SECRET_KEY=SECRET_KEY),
        capture_output=True,
        text=True,
        check=True,
    )
    found = tuple(Route(rule, frozenset(methods), websocket) for rule, methods, websocket in json.loads(listed.stdout))
    assert len(found) > 8, found
    return found


def unsafe_routes() -> list[Route]:
    """Those that take a method which may change something."""
    return [route for route in routes() if route.methods & UNSAFE]


def socket_routes() -> list[str]:
    """The rules of those that are WebSockets."""
    return [route.rule for route in routes() if route.websocket]
