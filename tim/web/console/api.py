"""What a test of a client needs of the service, as JSON: `POST /console/api/<command>` with the admin's token.

Each request is a JSON object. A refusal has the status of its kind and an object with `error`, in words, and `code`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from tim.codes import BAD_PARAMETER, STORE_UNAVAILABLE
from tim.errors import BadParameter, IMError
from tim.model import DEMO_APP, AppSettings
from tim.rules import EVICT, MAX_INSTANCES, POLICIES
from tim.setting_rules import MOST_MESSAGES
from tim.web.client import client_of
from tim.web.context import service
from tim.web.responses import retry_after

blueprint = Blueprint("console_api", __name__, url_prefix="/console/api")

LONGEST: Final = 10 * 365 * 86400
"""Seconds for which a UserSig can be made."""
STATUS: Final = {BAD_PARAMETER: 400, STORE_UNAVAILABLE: 503}
"""HTTP status of a refusal by its code."""
COMMANDS: Final = ("usersig", "limit", "kick", "cut", "forget")
MEMORY_ONLY: Final = (
    "only the demo app (SDKAppID 1400000000) with a store in memory can forget; start it with TIM_STORE=sqlite://"
)
NO_USERSIGS: Final = "this server makes no UserSigs; start it with TIM_TEST_USERSIG=1"


@blueprint.post("/usersig")
def make_usersig() -> tuple[Response, int] | Response:
    """`{"userID": "alice", "expire": 60}`: a UserSig that is valid for so many seconds; a week by default."""
    body = _body("userID", "expire")
    user, expire = _text(body, "userID"), _number(body, "expire", 7 * 86400, LONGEST)
    here = service()
    if not here.settings.test_usersig:
        return jsonify(error=NO_USERSIGS), 409
    sig = here.backend.user_sig(user, expire)
    return jsonify(userID=user, userSig=sig, SDKAppID=here.settings.sdk_app_id, expire=expire)


@blueprint.post("/limit")
def save_limit() -> Response:
    """`{"onlineWebInstances": 2, "policy": "reject", "messagesAMinute": 1000}`: instances that an account may have from
    now on, what happens to one more login, and how many messages an instance may send in a minute. A field that is left
    out stays; tells all."""
    body = _body("onlineWebInstances", "policy", "messagesAMinute")
    settings = service().backend.settings
    if body:
        _check_limit(body)
        settings.change(lambda now: _with_limit(now, body), "API")
    now = settings.now()
    return jsonify(
        onlineWebInstances=now.limits.online_web_instances,
        policy=now.policy,
        messagesAMinute=now.limits.messages_a_minute,
    )


def _check_limit(body: dict[str, Any]) -> None:
    """Raises BadParameter."""
    _number(body, "onlineWebInstances", 1, MAX_INSTANCES)
    _number(body, "messagesAMinute", 1, MOST_MESSAGES)
    if body.get("policy", EVICT) not in POLICIES:
        raise BadParameter("policy", f"policy must be one of: {', '.join(POLICIES)}")


def _with_limit(settings: AppSettings, body: dict[str, Any]) -> AppSettings:
    seats = body.get("onlineWebInstances", settings.limits.online_web_instances)
    messages = body.get("messagesAMinute", settings.limits.messages_a_minute)
    limits = replace(settings.limits, online_web_instances=seats, messages_a_minute=messages)
    return replace(settings, limits=limits, policy=body.get("policy", settings.policy))


@blueprint.post("/kick")
def kick() -> Response:
    """`{"userID": "alice", "type": "multipleDevice"}`: kicks each instance, or the one with `instanceID`."""
    body = _body("userID", "type", "instanceID")
    faults, by = service().backend.faults(), client_of(request.environ)()
    return jsonify(kicked=faults.kick(_text(body, "userID"), _text(body, "type"), by, _instance(body)))


@blueprint.post("/cut")
def cut() -> Response:
    """`{"userID": "alice"}`: cuts the connection of each instance, or of the one with `instanceID`."""
    body = _body("userID", "instanceID")
    return jsonify(cut=service().backend.faults().cut(_text(body, "userID"), _instance(body)))


@blueprint.post("/forget")
def forget() -> tuple[Response, int] | Response:
    """`{}`: forgets every account, login, message and setting."""
    _body()
    here = service()
    if here.settings.sdk_app_id != DEMO_APP or not here.backend.faults().forget():
        return jsonify(error=MEMORY_ONLY), 409
    return jsonify(forgotten=True)


@blueprint.route("/<path:command>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def no_command(command: str) -> tuple[Response, int]:
    if command in COMMANDS:
        return jsonify(error=f"send a POST to /console/api/{command}, with a JSON object"), 405
    return jsonify(error=f"there is no such command; there are {', '.join(COMMANDS)}"), 404


@blueprint.errorhandler(IMError)
def refuse(error: IMError) -> Response:
    response = jsonify(error=error.message, code=error.code)
    response.status_code = STATUS.get(error.code, 400)
    response.headers.update(retry_after(error))
    return response


@blueprint.errorhandler(RequestEntityTooLarge)
def refuse_large(_: RequestEntityTooLarge) -> tuple[Response, int]:
    return jsonify(error="the body of this request is too large", code=BAD_PARAMETER), 413


def _body(*names: str) -> dict[str, Any]:
    """The JSON object of the request, which has no other fields than these.

    Raises:
        BadParameter: it is no such object.
    """
    try:
        body = json.loads(request.get_data() or b"{}")
    except ClientDisconnected as error:
        raise BadParameter("body", str(error.description)) from None
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadParameter("body", 'the body must be a JSON object, such as {"userID": "alice"}')
    unknown = sorted(body.keys() - set(names))
    if unknown:
        takes = f"takes {', '.join(names)}" if names else "takes none"
        raise BadParameter(unknown[0], f"there is no field {unknown[0]!a} here; this command {takes}")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise BadParameter(name, f"{name} must be a string")
    return value


def _number(body: dict[str, Any], name: str, default: int, most: int) -> int:
    value = body.get(name, default)
    if type(value) is not int or not 1 <= value <= most:
        raise BadParameter(name, f"{name} must be a whole number from 1 to {most}")
    return value


def _instance(body: dict[str, Any]) -> int | None:
    """The number of an instance, as its login has returned it; None for all of the account."""
    return _number(body, "instanceID", 1, 2**53) if "instanceID" in body else None
