"""The vendor's REST API for an app's administrator: `POST /v4/<service>/<command>`, or GET with a body.

The HTTP status is always 200; the body has the result, with the vendor's codes. Source of the requests, answers and
codes: the vendor's pages on each command and its table of error codes.
"""

from __future__ import annotations

import json

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from tim.codes import (
    ACCOUNT_NOT_IMPORTED,
    BAD_BODY,
    BODY_TOO_LARGE,
    NO_SUCH_COMMAND,
    UNREADABLE_JSON,
)
from tim.errors import BadParameter, IMError, NoSuchAccount
from tim.web import problems
from tim.web.client import address_of
from tim.web.context import service
from tim.web.tencent.rest_body import Body
from tim.web.tencent.rest_commands import COMMANDS

blueprint = Blueprint("rest", __name__, url_prefix="/v4")


@blueprint.route("/<service_name>/<command>", methods=["GET", "POST"], provide_automatic_options=False)
def call(service_name: str, command: str) -> Response:
    try:
        # Authorise before parsing the command, so that callers cannot probe which commands exist.
        admin = service().backend.admin()
        identifier, user_sig = request.args.get("identifier", ""), request.args.get("usersig", "")
        admin.check(_app(), identifier, user_sig, address_of(request.environ))
        perform = COMMANDS.get(f"{service_name}/{command}")
        if perform is None:
            raise IMError(NO_SUCH_COMMAND, f"there is no {service_name}/{command} here; check the address")
        answer = perform(admin, _body(BAD_BODY if service_name == "openim" else UNREADABLE_JSON))
    except NoSuchAccount as error:
        return _refusal(error, error.code if service_name == "openim" else ACCOUNT_NOT_IMPORTED)
    except IMError as error:
        return _refusal(error, error.code)
    return _answer("OK", 0, "", answer)


@blueprint.app_errorhandler(404)
@blueprint.app_errorhandler(405)
def call_nothing(error: HTTPException) -> HTTPException | BaseResponse:
    if not request.path.startswith("/v4"):
        return problems.show(error)
    return _answer("FAIL", NO_SUCH_COMMAND, "there is no such command here; send POST /v4/<service>/<command>")


def _app() -> int:
    text = request.args.get("sdkappid", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else 0


def _body(code: int) -> Body:
    try:
        body = json.loads(request.get_data() or b"null")
    except RequestEntityTooLarge:
        raise BadParameter("body", "the body of this request is too large", BODY_TOO_LARGE) from None
    except ClientDisconnected as error:
        raise BadParameter("body", str(error.description), code) from None
    except (ValueError, RecursionError):
        raise BadParameter("body", "the body of this request is not JSON", code) from None
    if not isinstance(body, dict):
        raise BadParameter("body", "the body of this request must be a JSON object", code)
    return body


def _refusal(error: IMError, code: int) -> Response:
    response = _answer("FAIL", code, error.message)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _answer(status: str, code: int, info: str, more: Body | None = None) -> Response:
    # In ASCII: the text may repeat half of a surrogate pair from the request, which UTF-8 cannot encode.
    text = json.dumps({"ActionStatus": status, "ErrorInfo": info, "ErrorCode": code, **(more or {})})
    return Response(text, mimetype="application/json")
