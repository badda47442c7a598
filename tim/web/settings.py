"""The settings of a server, from the environment: `TIM_…`."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from flask import Config

from tim.audit import AUDIT_DAYS
from tim.errors import SettingError
from tim.model import DEMO_APP
from tim.operators import Role
from tim.receiver import Receiver, receiver_at
from tim.rules import MAX_INSTANCES
from tim.secret_file import MAKE_ONE, check_secret, is_text, kept_secret
from tim.timing import DETACH_GRACE

KNOWN: Final = frozenset(
    {
        "ADMIN_TOKEN",
        "AUDIT_DAYS",
        "DETACH_GRACE",
        "HOSTS",
        "LOG",
        "ONLINE_WEB_INSTANCES",
        "SDK_APP_ID",
        "SDK_SECRET_KEY",
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "STOCK_SOCKETS",
        "STORE",
        "TEST_USERSIG",
        "TRUSTED_PROXIES",
        "VIEWER_TOKEN",
        "WEBHOOK_ALLOW_LOCAL",
        "WEBHOOK_TOKEN",
        "WEBHOOK_URL",
    }
)
"""The names that may follow `TIM_`. Any other is likely a typing error, and is logged."""

HOST: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]*:[0-9a-f:.]*\]|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*")
"""A name as a browser sends it, in small letters, or an address."""

TOKEN: Final = re.compile(r"[\x21-\x7e]+")
"""A token of the console, which has to fit into a header."""

log = logging.getLogger("tim")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a node.

    Attributes:
        secret_keys: itsdangerous keys, oldest first; the last one signs.
        audit_days: how long the audit is kept.
        test_usersig: whether the login page makes UserSigs on request.
        trusted_proxies: number of proxies in front of this node that set X-Forwarded-…
        hosts: host names that this node answers to, besides those of this machine; None for all names.
        tokens: of the console, by role; none where it is off.
        prints_token: whether the start prints the admin token, which the demo app has made itself.
        webhook: where logins and ends are reported while no other receiver is saved.
        webhook_local: whether a receiver may be at a loopback or link-local address.
        stock_sockets: whether sockets are served by simple-websocket, also where our own class can.
    """

    store: str
    sdk_app_id: int
    sdk_secret_key: str
    secret_keys: list[str]
    online_web_instances: int
    detach_grace: float
    audit_days: int
    test_usersig: bool
    trusted_proxies: int
    hosts: frozenset[str] | None
    tokens: dict[Role, str]
    prints_token: bool
    webhook: Receiver | None
    webhook_local: bool
    stock_sockets: bool


def check_names(environ: Mapping[str, str]) -> None:
    """Logs each `TIM_…` variable that is no setting.

    Raises:
        SettingError: a name has two underscores in a row, by which Flask would nest it in another setting.
    """
    for name in sorted(environ):
        if name.startswith("TIM_") and "__" in name:
            raise SettingError(name, "cannot be set: no name of a setting has __ in it; remove it")
        if name.startswith("TIM_") and name.removeprefix("TIM_") not in KNOWN:
            log.warning("%s is not a setting; there are TIM_%s", name, ", TIM_".join(sorted(KNOWN)))


def log_form(environ: Mapping[str, str]) -> str:
    """The form of log lines: "text" or "json".

    Raises:
        SettingError: TIM_LOG is neither.
    """
    form = environ.get("TIM_LOG", "text")
    if form not in ("text", "json"):
        raise SettingError("TIM_LOG", "must be text or json")
    return form


def read_settings(config: Config, instance_path: Path) -> Settings:
    """The settings in `config`, as strings from the environment; missing ones get their default.

    Raises:
        SettingError: a value cannot be used; the error names the variable.
    """
    configured = "SDK_SECRET_KEY" in config
    app_id = _read(config, "SDK_APP_ID", DEMO_APP, _whole(1, 2**32 - 1))
    if not configured and app_id != DEMO_APP:
        raise SettingError("TIM_SDK_SECRET_KEY", f"is needed, as TIM_SDK_APP_ID is {app_id} and not the demo app")
    if configured:
        sdk_key = _read(config, "SDK_SECRET_KEY", "", _secret)
    else:
        sdk_key = kept_secret(instance_path / "sdk_secret_key", "TIM_SDK_SECRET_KEY")
    if config.get("SECRET_KEY") is None:
        newest = kept_secret(instance_path / "secret_key", "TIM_SECRET_KEY")
    else:
        newest = _read(config, "SECRET_KEY", "", _secret)
    tokens = _tokens(config)
    prints_token = not configured and Role.ADMIN not in tokens
    if prints_token:
        tokens[Role.ADMIN] = kept_secret(instance_path / "admin_token", "TIM_ADMIN_TOKEN")
    everywhere: frozenset[str] | None = None  # not the demo app, which makes UserSigs on request
    return Settings(
        store=_read(config, "STORE", f"sqlite:///{instance_path / 'tim.db'}", _text),
        sdk_app_id=app_id,
        sdk_secret_key=sdk_key,
        secret_keys=[*_read(config, "SECRET_KEY_FALLBACKS", list[str](), _secrets), newest],
        online_web_instances=_read(config, "ONLINE_WEB_INSTANCES", 1, _whole(1, MAX_INSTANCES)),
        detach_grace=_read(config, "DETACH_GRACE", DETACH_GRACE, _seconds),
        audit_days=_read(config, "AUDIT_DAYS", AUDIT_DAYS, _whole(1, 3650)),
        test_usersig=_read(config, "TEST_USERSIG", not configured, _yes_or_no),
        trusted_proxies=_read(config, "TRUSTED_PROXIES", 0, _whole(0, 10)),
        hosts=_read(config, "HOSTS", everywhere if configured else frozenset[str](), _names),
        tokens=tokens,
        prints_token=prints_token,
        webhook=_webhook(config),
        webhook_local=_read(config, "WEBHOOK_ALLOW_LOCAL", False, _yes_or_no),
        stock_sockets=_read(config, "STOCK_SOCKETS", False, _yes_or_no),
    )


def _tokens(config: Config) -> dict[Role, str]:
    """The tokens of the console that are set."""
    tokens = {role: _read(config, f"{role.upper()}_TOKEN", "", _token) for role in Role}
    if tokens[Role.ADMIN] and tokens[Role.ADMIN] == tokens[Role.VIEWER]:
        raise SettingError("TIM_VIEWER_TOKEN", f"must differ from TIM_ADMIN_TOKEN; {MAKE_ONE}")
    return {role: token for role, token in tokens.items() if token}


def _webhook(config: Config) -> Receiver | None:
    url = _read(config, "WEBHOOK_URL", "", _text)
    if not url:
        return None
    token = _read(config, "WEBHOOK_TOKEN", "", _text)
    try:
        return receiver_at(url, token, local=_read(config, "WEBHOOK_ALLOW_LOCAL", False, _yes_or_no))
    except SettingError as error:
        raise SettingError(f"TIM_{error.name.upper()}", error.message) from None


def _read(config: Config, name: str, default: T, rule: Callable[[Any], T]) -> T:
    """The setting `name`, parsed by `rule`. The ValueError of a rule states what a value must be."""
    if config.get(name) is None:
        return default
    try:
        if not is_text(str(config[name])):
            raise ValueError("must be text in UTF-8")
        return rule(config[name])
    except ValueError as error:
        raise SettingError(f"TIM_{name}", str(error)) from None


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def rule(value: Any) -> int:
        if not (str(value).isascii() and str(value).isdecimal() and least <= int(value) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return rule


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 86400:
        raise ValueError("must be a number of seconds above 0, at most 86400")
    return seconds


def _yes_or_no(value: Any) -> bool:
    answers = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return answers[str(value).lower()]
    except KeyError:
        raise ValueError("must be 1 or 0") from None


def _text(value: Any) -> str:
    if not value:
        raise ValueError("must not be empty")
    return str(value)


def _names(value: Any) -> frozenset[str]:
    names = [name.strip().lower().removesuffix(".") for name in str(value).split(",")]
    if not all(HOST.fullmatch(name) for name in names):
        raise ValueError("must be host names or addresses with commas between them, without scheme or port")
    return frozenset(f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names)


def _secret(value: Any) -> str:
    return check_secret(str(value))


def _token(value: Any) -> str:
    token = check_secret(str(value))
    if not TOKEN.fullmatch(token):
        raise ValueError(f"must have neither blanks nor other characters than printable ASCII; {MAKE_ONE}")
    return token


def _secrets(value: Any) -> list[str]:
    try:
        secrets = json.loads(value)
    except ValueError:
        secrets = None
    if not isinstance(secrets, list):
        raise ValueError('must be a JSON list of the older secrets, the oldest first: ["...", "..."]')
    return [_secret(secret) for secret in secrets]
