"""The settings of the app: what they are, what a change would do, and saving it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Final

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tim.app_settings import differences, host_of
from tim.audit import SETTINGS, AuditFilter
from tim.errors import SettingError, SettingsChanged
from tim.job import APPLY_LIMIT, Job
from tim.model import AppSettings, Limits
from tim.rules import MAX_INSTANCES
from tim.setting_rules import LONGEST_LIFE, MAX_LINK, MOST_FAILURES, MOST_MESSAGES, check_settings
from tim.text import text
from tim.web.console.accounts import address
from tim.web.console.session import actor, is_admin
from tim.web.context import service
from tim.web.responses import go

blueprint = Blueprint("console_settings", __name__, url_prefix="/console")

SAVES: Final = AuditFilter(kinds=frozenset({SETTINGS}))
TOKEN: Final = "webhook-token"


@blueprint.get("/settings")
def page() -> Response:
    settings = service().backend.settings.refresh()
    return _form(_shown(settings), settings)


@blueprint.post("/settings/review")
def review() -> Response:
    """Shows what the typed settings would change; nothing is saved."""
    current = service().backend.settings.refresh()
    typed = _typed(current)
    try:
        wanted = check_settings(_wanted(typed, current))
    except SettingError as error:
        return _form(typed, current, error)
    return make_response(
        render_template(
            "console/settings_review.html",
            typed=typed,
            saved=_hidden(current),
            stale=_is_stale(current),
            base=_base(current),
            changes=differences(current, wanted),
            limit=wanted.limits.online_web_instances,
            account_address=address,
            surplus=service().backend.listing.surplus(wanted.limits.online_web_instances),
            current=current,
        )
    )


@blueprint.post("/settings")
def save() -> BaseResponse:
    """Saves the typed settings, also applies their limit, or goes back to the form with them."""
    settings = service().backend.settings
    current = settings.refresh()
    typed = _typed(current)
    if request.form.get("do") == "edit":
        return _form(typed, current)
    try:
        saved = settings.save(replace(_wanted(typed, current), version=_version()), actor())
    except SettingError as error:
        return _form(typed, current, error)
    except SettingsChanged as changed:
        return _form(_typed(changed.current), changed.current, refused=True)
    done = _apply(saved.limits.online_web_instances) if request.form.get("do") == "apply" else "saved"
    return go(url_for("console_settings.page", done=done))


@blueprint.get("/settings/job")
def job() -> str:
    """The live part of the page: how far the limit is applied; empty where no job is shown."""
    shown = _job()
    return render_template("console/_job.html", job=shown, stop_address=_stop_address()) if shown is not None else ""


@blueprint.post("/settings/stop")
def stop() -> BaseResponse:
    """Stops applying the limit. What has ended stays ended."""
    service().backend.jobs.stop(request.form.get("job", ""), actor())
    return go(url_for("console_settings.page", done="stopped"))


def _apply(limit: int) -> str:
    """Starts to end what accounts have beyond the limit. Returns what the page says of it."""
    backend = service().backend
    surplus = backend.listing.surplus(limit).instances
    if not surplus:
        return "saved"
    started = backend.jobs.apply_limit(limit, actor(), surplus)
    return "applied" if (started.kind, started.limit) == (APPLY_LIMIT, limit) else "busy"


def _job() -> Job | None:
    """The newest job, if it applies a limit and is shown."""
    backend = service().backend
    newest = backend.jobs.newest()
    applies = newest is not None and newest.kind == APPLY_LIMIT and newest.is_shown(backend.clock())
    return newest if applies else None


def _stop_address() -> str:
    return url_for("console_settings.stop")


def _typed(current: AppSettings) -> dict[str, str]:
    """What the form has. A field that was not changed in it is that of the current settings, which may be others by
    now; so is one that it lacks, as the form of a script may.
    """
    saved, base = _shown(current), _base(current)
    typed = {name: request.form.get(name, value).strip() for name, value in saved.items()}
    return {name: saved[name] if typed[name] == base[name] else typed[name] for name in typed}


def _base(current: AppSettings) -> dict[str, str]:
    """What the form showed before anything was typed, as its hidden fields say; without them, the current settings."""
    hidden = _hidden(current)
    base = {name: request.form.get(f"base-{name}", value).strip() for name, value in hidden.items()}
    if service().identity.webhook_token.is_digest(base[TOKEN], current.webhook_token):
        base[TOKEN] = hidden[TOKEN]  # the key of the digest may be another one by now
    return base


def _hidden(settings: AppSettings) -> dict[str, str]:
    """The settings as the form's hidden fields have them: of the token a digest, which tells whether it has changed."""
    token = settings.webhook_token if is_admin() else ""
    return _shown(settings) | {TOKEN: token and service().identity.webhook_token.digest(token)}


def _is_stale(current: AppSettings) -> bool:
    """Whether other settings were saved since the form was shown."""
    return 0 <= _version() < current.version


def _version() -> int:
    """The version on which the form is based; one that nothing has, where the form says none."""
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else -1


def _shown(settings: AppSettings) -> dict[str, str]:
    """The settings as the form shows them, by the names of its fields: those of `AppSettings` and `Limits` with dashes.

    Without the token, a secret; to a viewer, of the webhook its host alone.
    """
    return {
        **{name.replace("_", "-"): str(value) for name, value in asdict(settings.limits).items()},
        "policy": settings.policy,
        "session-life": str(settings.session_life),
        "idle-life": str(settings.idle_life),
        "not-me": "on" if settings.not_me else "off",
        "help-text": settings.help_text,
        "help-url": settings.help_url,
        "webhook-url": settings.webhook_url if is_admin() else host_of(settings.webhook_url),
        TOKEN: "",
    }


def _wanted(typed: dict[str, str], current: AppSettings) -> AppSettings:
    """The typed settings. The webhook keeps its token where none is typed, and has none without an address.

    Raises:
        SettingError: the webhook cannot be used, a token is typed without an address, or a switch is neither on nor
            off.
    """
    if typed[TOKEN] and not typed["webhook-url"]:
        raise SettingError("webhook_token", text("needs an address of the webhook; type one, or leave this empty"))
    numbers = {name.replace("-", "_"): _number(text) for name, text in typed.items() if _is_limit(name)}
    token = typed[TOKEN] or current.webhook_token
    wanted = AppSettings(
        limits=Limits(**numbers),
        policy=typed["policy"],
        session_life=_number(typed["session-life"]),
        idle_life=_number(typed["idle-life"]),
        not_me=_switch("not_me", typed["not-me"]),
        help_text=typed["help-text"],
        help_url=typed["help-url"],
        webhook_url=typed["webhook-url"],
        webhook_token=token if typed["webhook-url"] else "",
        version=current.version,
    )
    service().backend.webhook.check(wanted)
    return wanted


def _is_limit(name: str) -> bool:
    return name.replace("-", "_") in Limits.__slots__


def _number(text: str) -> int:
    """The typed number; -1, which no setting may be, for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


def _switch(name: str, typed: str) -> bool:
    """Whether the setting is on. Raises SettingError."""
    if typed not in ("on", "off"):
        raise SettingError(name, text("must be on or off"))
    return typed == "on"


def _form(
    typed: dict[str, str], current: AppSettings, error: SettingError | None = None, *, refused: bool = False
) -> Response:
    """The form with these values, based on the current settings.

    Args:
        refused: whether these values were not saved because others were meanwhile.
    """
    values: dict[str, Any] = {
        "typed": typed,
        "current": current,
        "saved": _hidden(current),
        "conflict": refused or _is_stale(current),
        "receiver": service().backend.webhook.receiver,
        "errors": {} if error is None else {error.name.replace("_", "-"): error},
        "grace": service().backend.detach_grace,
        "most_instances": MAX_INSTANCES,
        "most_failures": MOST_FAILURES,
        "most_messages": MOST_MESSAGES,
        "longest_life": LONGEST_LIFE,
        "longest_link": MAX_LINK,
        "job": _job(),
        "stop_address": _stop_address(),
        "entries": service().backend.admin().audit(SAVES, limit=20).entries,
    }
    status = 409 if refused else 200 if error is None else 400
    return make_response(render_template("console/settings.html", **values), status)
