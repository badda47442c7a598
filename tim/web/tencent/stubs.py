"""Empty answers to what the vendor's Web SDK requests after a login.

Profiles, contacts, groups and conversation lists are out of scope. But the SDK becomes ready only after some of these
answers, and repeats a request without end if its answer lacks a certain field. The fields are the fewest that
tim-js-sdk 2.27.6 and @tencentcloud/chat 3.6.6 accept.
"""

from __future__ import annotations

from typing import Any, Final

from tim.web.tencent.frames import OK, Request, answer, bare, encoded

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
_LISTS: Final = {command: encoded({**OK, **fields}) for command, fields in LISTS.items()}


def reply(request: Request, sdk_app_id: int) -> str:
    """The answer to a command that is out of scope: success, with empty lists."""
    if request.command == "profile.portrait_get_all":
        return answer(request, UserProfileItem=_profiles(request.body.get("UserItem")))
    # These two name code and message in their own way. The SDK repeats the second each second if it is refused.
    if request.command == "im_sdk_config_mgr.fetch_config":
        config = {**_config(), "str_json_config": "{}", "uint32_sdkappid": sdk_app_id, "uint64_version": 1}
        return bare(request, encoded(config))
    if request.command == "im_sdk_config_mgr.fetch_imsdk_purchase_bitsv2":
        return bare(request, encoded({**_config(), "str_purchase_bits": "0"}))
    body = _LISTS.get(request.command)
    return answer(request) if body is None else bare(request, body)


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
