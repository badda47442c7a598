"""The vendor's REST API for an app's administrator: `POST /v4/<service>/<command>`, or GET with a body.

Whatever happens, HTTP says 200; how it went stands in the body, with the vendor's codes. Source of the requests,
answers and codes: the vendor's pages on each command and its table of error codes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from tim.admin import Admin
from tim.errors import (
    ACCOUNT_NOT_IMPORTED,
    BAD_BODY,
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
from tim.web.client import address_of
from tim.web.context import service
from tim.web.tencent import frames

blueprint = Blueprint("rest", __name__, url_prefix="/v4")

MOST_ACCOUNTS: Final = 500
"""How many accounts one query may ask for, and one batch may send to."""
MOST_ITEMS: Final = 100
"""How many accounts one import, check or deletion may name."""
NOT_IMPORTED: Final = "Err_TLS_PT_Open_Login_Account_Not_Exist"
SYNC: Final = {1: True, 2: False}
"""What SyncOtherMachine says of the sender's own instances and log."""

Body = dict[str, Any]
T = TypeVar("T")


@blueprint.route("/<service_name>/<command>", methods=["GET", "POST"], provide_automatic_options=False)
def call(service_name: str, command: str) -> Response:
    try:
        # Who may not ask learns nothing about what there is to ask.
        admin = Admin(service().backend)
        identifier, user_sig = request.args.get("identifier", ""), request.args.get("usersig", "")
        admin.check(_app(), identifier, user_sig, address_of(request))
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
def call_nothing(error: HTTPException) -> HTTPException | Response:
    if not request.path.startswith("/v4"):
        return error
    return _answer("FAIL", NO_SUCH_COMMAND, "there is no such command here; send POST /v4/<service>/<command>")


def kick(admin: Admin, body: Body) -> Body:
    """Ends every instance of the account; with Instid, which is ours, that instance alone."""
    if "Instid" not in body:
        admin.kick(_user(body))
    elif type(body["Instid"]) is not int:
        raise BadParameter("Instid", "Instid must be a whole number, from query_online_status")
    else:
        admin.kick_instance(_user(body), body["Instid"])
    return {}


def account_import(admin: Admin, body: Body) -> Body:
    admin.import_account(_user(body))
    return {}


def multiaccount_import(admin: Admin, body: Body) -> Body:
    """Imports up to MOST_ITEMS accounts, given as {"AccountList": [{"UserID": …}]} or, as older kits do, as
    {"Accounts": […]}. Those that can be none are listed, and the others imported all the same."""
    name = "AccountList" if "AccountList" in body else "Accounts"
    users = _items(body, name) if name == "AccountList" else _names(body, name)
    failed = []
    for user in users:
        try:
            admin.import_account(user)
        except BadParameter:
            failed.append(user)
    return {"FailAccounts": failed}


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


def querystate(admin: Admin, body: Body) -> Body:
    """The former name of query_online_status, whose entries call the status State; older server kits use it."""
    answer = query_online_status(admin, body)
    answer["QueryResult"] = [
        {"State" if name == "Status" else name: value for name, value in entry.items()}
        for entry in answer["QueryResult"]
    ]
    return answer


def query_online_status(admin: Admin, body: Body) -> Body:
    """Online, PushOnline or Offline.

    An account with an attached instance is Online. One with detached instances only is PushOnline, the vendor's
    word for a client that is logged in and whose line is cut: a message is kept for it, and it may come back.
    """
    users = _receivers(body)
    there = admin.imported(users)
    numbered = body.get("IsReturnInstid") == 1
    detailed = numbered or body.get("IsNeedDetail") == 1
    return {
        "QueryResult": [_status(admin, user, detailed, numbered) for user in users if user in there],
        "ErrorList": [{"To_Account": user, "ErrorCode": ACCOUNT_NOT_IMPORTED} for user in users if user not in there],
    }


def batchsendmsg(admin: Admin, body: Body) -> Body:
    """Sends one message to up to MOST_ACCOUNTS accounts; those it could not be sent to are listed."""
    sent: Body = {}
    errors = []
    for user in dict.fromkeys(_receivers(body)):
        try:
            sent = sendmsg(admin, {**body, "To_Account": user})
        except NoSuchAccount:
            errors.append({"To_Account": user, "ErrorCode": ACCOUNT_NOT_IMPORTED})
        except BadParameter as error:
            if error.name != "To_Account":
                raise
            errors.append({"To_Account": user, "ErrorCode": error.code})
    return {"MsgKey": sent.get("MsgKey", ""), "ErrorList": errors}


def sendmsg(admin: Admin, body: Body) -> Body:
    outgoing = frames.parse_message(body)
    sender = body.get("From_Account", request.args["identifier"])
    if not isinstance(sender, str) or ("From_Account" in body and not admin.imported([sender])):
        raise BadParameter("From_Account", "From_Account must be an account that exists", BAD_SENDER)
    sync = body.get("SyncOtherMachine", 1)
    if type(sync) is not int or sync not in SYNC:
        raise BadParameter("SyncOtherMachine", "SyncOtherMachine must be 1 or 2", BAD_SYNC)
    # Put into the form of an SDK's id, so that the sender's own numbers go out with the message. MsgClientTime is no
    # part of it: the vendor tells messages apart by the other two.
    source = hashlib.blake2b(f"rest/{sender}/{outgoing.to}".encode(errors="surrogatepass"), digest_size=16).hexdigest()
    id = frames.message_id(source, replace(outgoing, client_time=0))
    message = admin.send(sender, outgoing.to, outgoing.text, id, copy=SYNC[sync])
    return {"MsgTime": int(message.time), "MsgKey": frames.message_key(message)}


COMMANDS: Final[dict[str, Callable[[Admin, Body], Body]]] = {
    "im_open_login_svc/kick": kick,
    "im_open_login_svc/account_import": account_import,
    "im_open_login_svc/multiaccount_import": multiaccount_import,
    "im_open_login_svc/account_check": account_check,
    "im_open_login_svc/account_delete": account_delete,
    "openim/query_online_status": query_online_status,
    "openim/querystate": querystate,
    "openim/sendmsg": sendmsg,
    "openim/batchsendmsg": batchsendmsg,
}


def _status(admin: Admin, user: str, detailed: bool, numbered: bool) -> Body:
    platforms = [
        {"Platform": "Web", "Status": "Online" if instance.online else "PushOnline"}
        | ({"Instid": instance.generation} if numbered else {})
        for instance in admin.instances(user)
    ]
    status = min((str(each["Status"]) for each in platforms), default="Offline")  # "Online" sorts before "PushOnline"
    return {"To_Account": user, "Status": status, **({"Detail": platforms} if detailed and platforms else {})}


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
    user = body.get("UserID")
    if user is None:
        user = body.get("Identifier")
    if user is None:
        raise BadParameter("UserID", "UserID is missing")
    if not isinstance(user, str):
        raise BadParameter("UserID", 'UserID must be a string; put it into quotes, as in "86013800138000"')
    return user


def _items(body: Body, name: str) -> list[str]:
    return [_user(item) for item in _bounded(body, name, dict, 'accounts: [{"UserID": "..."}]')]


def _names(body: Body, name: str) -> list[str]:
    return _bounded(body, name, str, 'UserIDs: ["...", "..."]')


def _bounded(body: Body, name: str, kind: type[T], what: str) -> list[T]:
    """The list `name` of the body, with 1 to MOST_ITEMS entries of this kind."""
    items = body.get(name)
    if not isinstance(items, list) or not items or not all(isinstance(item, kind) for item in items):
        raise BadParameter(name, f"{name} must be a list of {what}")
    if len(items) > MOST_ITEMS:
        raise BadParameter(name, f"{name} names more than {MOST_ITEMS} accounts")
    return items


def _receivers(body: Body) -> list[str]:
    users = body.get("To_Account")
    if not isinstance(users, list) or not all(isinstance(user, str) for user in users):
        raise BadParameter("To_Account", "To_Account must be a list of UserIDs", BAD_RECEIVER)
    if not users:
        raise BadParameter("To_Account", "To_Account is empty", BAD_BODY)
    if len(users) > MOST_ACCOUNTS:
        raise BadParameter("To_Account", f"To_Account names more than {MOST_ACCOUNTS} accounts", TOO_MANY_ACCOUNTS)
    return users


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
    # In ASCII, as a stranger's half of a surrogate pair may be repeated in it.
    text = json.dumps({"ActionStatus": status, "ErrorInfo": info, "ErrorCode": code, **(more or {})})
    return Response(text, mimetype="application/json")
