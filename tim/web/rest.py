"""The vendor's REST API for an app's administrator: `POST /v4/<service>/<command>`.

Whatever happens, HTTP says 200; how it went stands in the body, with the vendor's codes. Source of the requests,
answers and codes: the vendor's pages on each command and its table of error codes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from tim import wire
from tim.admin import Admin
from tim.errors import (
    ACCOUNT_NOT_IMPORTED,
    BAD_BODY,
    BAD_PARAMETER,
    BAD_RECEIVER,
    BAD_SENDER,
    BAD_SYNC,
    BODY_TOO_LARGE,
    NO_SUCH_COMMAND,
    TOO_MANY_ACCOUNTS,
    UNREADABLE_JSON,
    BadParameter,
    IMError,
    NoSuchAccount,
)
from tim.web.service import service

blueprint = Blueprint("rest", __name__, url_prefix="/v4")

MOST_ACCOUNTS: Final = 500
"""How many accounts one query may ask for."""
MOST_ITEMS: Final = 100
"""How many accounts one check or deletion may name."""
NOT_IMPORTED: Final = "Err_TLS_PT_Open_Login_Account_Not_Exist"
SYNC: Final = {1: True, 2: False}
"""What SyncOtherMachine says of the sender's own instances and log."""

USERSIG: Final = re.compile(r"(?i)(usersig=)[^&\s\"]+")

Body = dict[str, Any]


class HiddenUserSig(logging.Filter):
    """Keeps UserSigs out of a log of requests: the vendor's API has them in the address."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = USERSIG.sub(r"\1***", record.getMessage()), ()
        return True


@blueprint.record_once
def hide_usersigs(_state: object) -> None:
    for name in ("werkzeug", "gunicorn.access"):
        logging.getLogger(name).addFilter(HiddenUserSig())


@blueprint.post("/<service_name>/<command>")
def call(service_name: str, command: str) -> Response:
    try:
        # Who may not ask learns nothing about what there is to ask.
        admin = Admin(service().backend)
        admin.check(_app(), request.args.get("identifier", ""), request.args.get("usersig", ""), _address())
        perform = COMMANDS.get(f"{service_name}/{command}")
        if perform is None:
            raise IMError(NO_SUCH_COMMAND, f"there is no {service_name}/{command} here; check the address")
        answer = perform(admin, _body(BAD_BODY if service_name == "openim" else UNREADABLE_JSON))
    except NoSuchAccount as error:
        code = error.code if service_name == "openim" else ACCOUNT_NOT_IMPORTED
        return _answer("FAIL", code, error.message)
    except IMError as error:
        return _answer("FAIL", error.code, error.message)
    return _answer("OK", 0, "", answer)


@blueprint.post("/<path:_address>")
def call_nothing(_address: str) -> Response:
    return _answer("FAIL", NO_SUCH_COMMAND, "there is no such command here; send POST /v4/<service>/<command>")


def kick(admin: Admin, body: Body) -> Body:
    admin.kick(_user(body))
    return {}


def account_import(admin: Admin, body: Body) -> Body:
    admin.import_account(_user(body))
    return {}


def account_check(admin: Admin, body: Body) -> Body:
    users = _items(body, "CheckItem")
    there = admin.imported(users)
    return {
        "ResultItem": [
            {**_result(user), "AccountStatus": "Imported" if user in there else "NotImported"} for user in users
        ]
    }


def account_delete(admin: Admin, body: Body) -> Body:
    return {"ResultItem": [_delete(admin, user) for user in _items(body, "DeleteItem")]}


def query_online_status(admin: Admin, body: Body) -> Body:
    """Online, PushOnline or Offline.

    An account with an attached instance is Online. One with detached instances only is PushOnline, the vendor's
    word for a client that is logged in and whose line is cut: a message is kept for it, and it may come back.
    """
    users = body.get("To_Account")
    if not isinstance(users, list) or not all(isinstance(user, str) for user in users):
        raise BadParameter("To_Account", "To_Account must be a list of UserIDs", BAD_RECEIVER)
    if not users:
        raise BadParameter("To_Account", "To_Account is empty", BAD_BODY)
    if len(users) > MOST_ACCOUNTS:
        raise BadParameter("To_Account", f"To_Account names more than {MOST_ACCOUNTS} accounts", TOO_MANY_ACCOUNTS)
    there = admin.imported(users)
    detailed = body.get("IsNeedDetail") == 1
    return {
        "QueryResult": [_status(admin, user, detailed) for user in users if user in there],
        "ErrorList": [{"To_Account": user, "ErrorCode": ACCOUNT_NOT_IMPORTED} for user in users if user not in there],
    }


def sendmsg(admin: Admin, body: Body) -> Body:
    outgoing = wire.parse_message(body)
    sender = body.get("From_Account", request.args["identifier"])
    if not isinstance(sender, str) or ("From_Account" in body and not admin.imported([sender])):
        raise BadParameter("From_Account", "From_Account must be an account that exists", BAD_SENDER)
    sync = body.get("SyncOtherMachine", 1)
    if type(sync) is not int or sync not in SYNC:
        raise BadParameter("SyncOtherMachine", "SyncOtherMachine must be 1 or 2", BAD_SYNC)
    # Put into the form of an SDK's id, so that the sender's own numbers go out with the message. MsgClientTime is no
    # part of it: the vendor tells messages apart by the other two.
    source = hashlib.blake2b(f"rest/{sender}/{outgoing.to}".encode(), digest_size=16).hexdigest()
    id = wire.message_id(source, replace(outgoing, client_time=0))
    message = admin.send(sender, outgoing.to, outgoing.text, id, copy=SYNC[sync])
    return {"MsgTime": int(message.time), "MsgKey": wire.message_key(message)}


COMMANDS: Final[dict[str, Callable[[Admin, Body], Body]]] = {
    "im_open_login_svc/kick": kick,
    "im_open_login_svc/account_import": account_import,
    "im_open_login_svc/account_check": account_check,
    "im_open_login_svc/account_delete": account_delete,
    "openim/query_online_status": query_online_status,
    "openim/querystate": query_online_status,  # its former name, which older server kits still use
    "openim/sendmsg": sendmsg,
}


def _status(admin: Admin, user: str, detailed: bool) -> Body:
    instances = admin.instances(user)
    words = ["Online" if instance.online else "PushOnline" for instance in instances]
    status = min(words, default="Offline")  # "Online" sorts before "PushOnline"
    detail = {"Detail": [{"Platform": "Web", "Status": word} for word in words]} if detailed and words else {}
    return {"To_Account": user, "Status": status, **detail}


def _delete(admin: Admin, user: str) -> Body:
    try:
        admin.delete(user)
    except NoSuchAccount:
        return _result(user, ACCOUNT_NOT_IMPORTED, NOT_IMPORTED)
    except BadParameter as error:
        return _result(user, error.code, error.message)
    return _result(user)


def _result(user: str, code: int = 0, info: str = "") -> Body:
    return {"UserID": user, "ResultCode": code, "ResultInfo": info}


def _user(body: Body) -> str:
    # Server kits of before 2021 call it Identifier.
    user = body.get("UserID", body.get("Identifier"))
    if not isinstance(user, str):
        raise BadParameter("UserID", "UserID is missing")
    return user


def _items(body: Body, name: str) -> list[str]:
    items = body.get(name)
    if not isinstance(items, list) or not items:
        raise BadParameter(name, f'{name} must be a list of accounts: [{{"UserID": "..."}}]')
    if len(items) > MOST_ITEMS:
        raise BadParameter(name, f"{name} names more than {MOST_ITEMS} accounts", BAD_PARAMETER)
    return [_user(item) if isinstance(item, dict) else _user({}) for item in items]


def _app() -> int:
    text = request.args.get("sdkappid", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 else 0


def _address() -> str:
    return request.remote_addr or "unknown"


def _body(code: int) -> Body:
    try:
        body = json.loads(request.get_data() or b"null")
    except RequestEntityTooLarge:
        raise BadParameter("body", "the body of this request is too large", BODY_TOO_LARGE) from None
    except (ValueError, RecursionError):
        raise BadParameter("body", "the body of this request is not JSON", code) from None
    if not isinstance(body, dict):
        raise BadParameter("body", "the body of this request must be a JSON object", code)
    return body


def _answer(status: str, code: int, info: str, more: Body | None = None) -> Response:
    text = json.dumps({"ActionStatus": status, "ErrorInfo": info, "ErrorCode": code, **(more or {})})
    return Response(text, mimetype="application/json")
