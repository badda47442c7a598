"""The commands of the vendor's REST API: each takes the body of a request and returns the fields of its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from flask import request

from tim.admin import Admin
from tim.codes import ACCOUNT_NOT_IMPORTED, BAD_SENDER, BAD_SYNC
from tim.errors import BadParameter, NoSuchAccount
from tim.web.tencent import frames
from tim.web.tencent.rest_body import Body, items_of, names_of, receivers_of, user_of

NOT_IMPORTED: Final = "Err_TLS_PT_Open_Login_Account_Not_Exist"
SYNC: Final = {1: True, 2: False}
"""Whether the sender's own log and instances get a copy, by SyncOtherMachine."""


def kick(admin: Admin, body: Body) -> Body:
    """Ends every instance of the account; with Instid, an extension of the vendor's API, only that instance."""
    if "Instid" not in body:
        admin.kick(user_of(body))
    elif type(body["Instid"]) is not int:
        raise BadParameter("Instid", "Instid must be a whole number, from query_online_status")
    else:
        admin.kick_instance(user_of(body), body["Instid"])
    return {}


def account_import(admin: Admin, body: Body) -> Body:
    admin.import_account(user_of(body))
    return {}


def multiaccount_import(admin: Admin, body: Body) -> Body:
    """Imports up to MOST_ITEMS accounts, given as {"AccountList": [{"UserID": …}]} or, as older kits do, as
    {"Accounts": […]}. Invalid UserIDs are listed in the answer, and the others are imported."""
    name = "AccountList" if "AccountList" in body else "Accounts"
    users = items_of(body, name) if name == "AccountList" else names_of(body, name)
    failed = []
    for user in users:
        try:
            admin.import_account(user)
        except BadParameter:
            failed.append(user)
    return {"FailAccounts": failed}


def account_check(admin: Admin, body: Body) -> Body:
    users = items_of(body, "CheckItem")
    there = admin.imported(users)
    return {
        "ResultItem": [
            {**_result(user), "AccountStatus": "Imported" if user in there else "NotImported"} for user in users
        ]
    }


def account_delete(admin: Admin, body: Body) -> Body:
    return {"ResultItem": [_delete(admin, user) for user in items_of(body, "DeleteItem")]}


def querystate(admin: Admin, body: Body) -> Body:
    """The former name of query_online_status, for older server kits. Its entries have State in place of Status."""
    answer = query_online_status(admin, body)
    answer["QueryResult"] = [
        {"State" if name == "Status" else name: value for name, value in entry.items()}
        for entry in answer["QueryResult"]
    ]
    return answer


def query_online_status(admin: Admin, body: Body) -> Body:
    """The status of each account: Online, PushOnline or Offline.

    An account with an attached instance is Online. One with detached instances only is PushOnline: the vendor's term
    for a client that is logged in without a connection, which may come back and gets its messages then.
    """
    users = receivers_of(body)
    there = admin.imported(users)
    numbered = body.get("IsReturnInstid") == 1
    detailed = numbered or body.get("IsNeedDetail") == 1
    return {
        "QueryResult": [_status(admin, user, detailed, numbered) for user in users if user in there],
        "ErrorList": [{"To_Account": user, "ErrorCode": ACCOUNT_NOT_IMPORTED} for user in users if user not in there],
    }


def batchsendmsg(admin: Admin, body: Body) -> Body:
    """Sends one message to up to MOST_ACCOUNTS accounts; lists those to which it was not sent."""
    sent: Body = {}
    errors = []
    for user in dict.fromkeys(receivers_of(body)):
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
    # In the form of an SDK's message id, so that the message is pushed with the sender's own numbers. Without
    # MsgClientTime, because the vendor identifies a message by the other two.
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
