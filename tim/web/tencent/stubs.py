"""Answers to what the vendor's Web SDK requests and this service does not do.

Profiles, contacts, groups, conversation lists and history are out of scope. A command that reads gets an empty answer:
the SDK becomes ready only after some of these, and repeats a request without end if its answer lacks a certain field.
The fields are the fewest that tim-js-sdk 2.27.6 and @tencentcloud/chat 3.6.6 accept. A command that would change
something for others is refused.
"""

from __future__ import annotations

from typing import Any, Final

from tim.codes import NO_SUCH_COMMAND
from tim.web.tencent.frames import OK, Request, answer, bare, encoded, refusal

MAX_PROFILES: Final = 100
"""Profiles in one answer, the vendor's own limit."""
REFRESH: Final = 3600
"""Seconds after which the SDK asks for its configuration again."""

LISTS: Final[dict[str, dict[str, Any]]] = {
    "sns.black_list_get": {"BlackListItem": [], "StartIndex": 0},  # without StartIndex: 500 requests a second
    "recentcontact.page_get": {
        "CompleteFlag": 1,  # anything else means "ask again"
        "SessionItem": [],
        "TimeStamp": 0,
        "StartIndex": 0,
        "TopTimeStamp": 0,
        "TopStartIndex": 0,
    },
    "recentcontact.get_contact_group": {"CompleteFlag": 1, "NextStartIndex": 0, "GroupItem": [], "ContactItem": []},
    "openim.get_c2c_peer_mute_notifications": {"MuteNotificationsList": [], "UpdateSeq": 0},
    "group_open_http_svc.get_joined_group_list": {"TotalCount": 0, "GroupIdList": []},
    "million_group_open_http_svc.get_joined_group_list": {"TotalCount": 0, "GroupIdList": []},
    "group_open_http_svc.get_pendency": {"PendencyList": [], "NextStartTime": 0},  # without: 15 requests, and 2996
    "million_group_open_http_svc.get_pendency": {"PendencyList": [], "NextStartTime": 0},
    "openim.getroammsg": {"Complete": 1, "MsgCnt": 0, "LastMsgTime": 0, "LastMsgKey": "", "MsgList": []},
    "sns.friend_get": {
        "CompleteFlag": 1,
        "NextStartIndex": 0,
        "FriendNum": 0,
        "StandardSequence": 0,
        "CustomSequence": 0,
        "UserDataItem": [],
    },
    "sns.group_get": {"ResultItem": [], "CurrentSequence": 0},
    "sns.pendency_get": {"PendencyItem": [], "UnreadPendencyCount": 0, "CurrentSequence": 0, "StartTime": 0},
}
NO_GROUPS: Final = "this service has no groups"
NO_CONVERSATIONS: Final = "this service keeps no list of conversations"
NO_CONTACTS: Final = "this service keeps no contacts"
NO_BLACKLIST: Final = "this service keeps no blacklist"
NO_MUTING: Final = "this service mutes nobody"
NO_CHANGES: Final = "this service does not change messages"
NO_DELETION: Final = "this service does not delete messages"
REFUSED: Final = {
    "group_open_attr_http_svc": NO_GROUPS,
    "group_open_avchatroom_http_svc": NO_GROUPS,
    "group_open_http_noauth_svc": NO_GROUPS,
    "group_open_http_svc": NO_GROUPS,
    "group_open_long_polling_http_noauth_svc": NO_GROUPS,
    "group_open_long_polling_http_svc": NO_GROUPS,
    "million_group_open_http_svc": NO_GROUPS,
    "openim.modify_group_msg": NO_GROUPS,
    "openim.msgwithdraw": "this service does not recall messages",
    "openim.modify_c2c_msg": NO_CHANGES,
    "openim_msg_ext_http_svc": NO_CHANGES,
    "openim.delete_c2c_msg_ramble": NO_DELETION,
    "recentcontact.clear_msg": NO_DELETION,
    "openim.c2c_msg_read_receipt": "this service passes on no read receipts",
    "openim.set_c2c_peer_mute_notifications": NO_MUTING,
    "im_msg_db_logic.ws_set_do_not_disturb": NO_MUTING,
    "recentcontact.batch_delete": NO_CONVERSATIONS,
    "recentcontact.create_contact_group": NO_CONVERSATIONS,
    "recentcontact.del_contact_group": NO_CONVERSATIONS,
    "recentcontact.mark_contact": NO_CONVERSATIONS,
    "recentcontact.top": NO_CONVERSATIONS,
    "recentcontact.update_contact_group": NO_CONVERSATIONS,
    "sns.black_list_add": NO_BLACKLIST,
    "sns.black_list_delete": NO_BLACKLIST,
    "sns.friend_add": NO_CONTACTS,
    "sns.friend_delete": NO_CONTACTS,
    "sns.friend_response": NO_CONTACTS,
    "sns.friend_update": NO_CONTACTS,
    "sns.group_add": NO_CONTACTS,
    "sns.group_delete": NO_CONTACTS,
    "sns.group_update": NO_CONTACTS,
    "sns.pendency_delete": NO_CONTACTS,
    "follow.follow_add": NO_CONTACTS,
    "follow.follow_delete": NO_CONTACTS,
    "im_open_status.ws_status_subscribe": "this service reports no status of a user",
    "im_open_translate.ws_batch_trans_text": "this service does not translate",
    "im_open_speech.ws_sentence_recognition": "this service does not turn speech into text",
}
"""Why a command is refused, or each command of a service that has no list here.

Commands of which nothing is left to do succeed: those that mark messages as read, which they are once they were sent to
a page, and reports of the SDK. So do those that set an account's own profile and status: an app calls these right after
its login, which has to go on.
"""
_LISTS: Final = {command: encoded({**OK, **fields}) for command, fields in LISTS.items()}


def reply(request: Request, sdk_app_id: int) -> str:
    """The answer to a command that is out of scope: an empty list, a refusal, or success."""
    if request.command == "profile.portrait_get_all":
        return answer(request, UserProfileItem=_profiles(request.body.get("UserItem")))
    # These two name code and message in their own way. The SDK repeats the second each second if it is refused.
    if request.command == "im_sdk_config_mgr.fetch_config":
        config = {**_config(), "str_json_config": "{}", "uint32_sdkappid": sdk_app_id, "uint64_version": 1}
        return bare(request, encoded(config))
    if request.command == "im_sdk_config_mgr.fetch_imsdk_purchase_bitsv2":
        return bare(request, encoded({**_config(), "str_purchase_bits": "0"}))
    body = _LISTS.get(request.command)
    if body is not None:
        return bare(request, body)
    why = REFUSED.get(request.command) or REFUSED.get(request.command.partition(".")[0])
    return answer(request) if why is None else refusal(request, NO_SUCH_COMMAND, why)


def _config() -> dict[str, Any]:
    return {"int32_error_code": 0, "str_error_message": "", "uint32_expired_time": REFRESH}


def _profiles(asked: Any) -> list[dict[str, Any]]:
    users = [item.get("To_Account") for item in asked if isinstance(item, dict)] if isinstance(asked, list) else []
    return [
        {
            "To_Account": user,
            "StandardSequence": 0,
            "CustomSequence": 0,
            "ProfileItem": [{"Tag": "Tag_Profile_IM_Nick", "Value": ""}],
            "ResultCode": 0,
            "ResultInfo": "",
        }
        for user in users[:MAX_PROFILES]
        if isinstance(user, str)
    ]
