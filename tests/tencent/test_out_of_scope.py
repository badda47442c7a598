"""What this service does not do: a call that reads resolves with nothing, and one that would change it is refused."""

from __future__ import annotations

from typing import Any

from tests.support.sdk_page import SDKPage
from tests.support.sdk_site import NEW, SDK
from tests.support.server import ROOT
from tests.support.waiting import until
from tests.tencent.conftest import Account, OpenPage
from tim.codes import NO_SUCH_COMMAND
from tim.web.tencent import stubs

DOCUMENT = "docs/official-sdk.md"
PEER = "C2Cpeer"
READS: dict[str, Any] = {
    f"sdk.getMessageList({{conversationID: '{PEER}'}})": {
        "messageList": [],
        "nextReqMessageID": "",
        "isCompleted": True,
    },
    "sdk.getGroupApplicationList()": {"applicationList": []},
    "sdk.getBlacklist()": [],
}
NO_GROUPS = stubs.NO_GROUPS
CHANGES = {
    "sdk.revokeMessage(sent)": "this service does not recall messages",
    "sdk.modifyMessage(sent)": stubs.NO_CHANGES,
    "sdk.deleteMessage([sent])": stubs.NO_DELETION,
    "sdk.clearHistoryMessage(sent.conversationID)": stubs.NO_DELETION,
    "sdk.deleteConversation(sent.conversationID)": stubs.NO_CONVERSATIONS,
    "sdk.pinConversation({conversationID: sent.conversationID, isPinned: true})": stubs.NO_CONVERSATIONS,
    "sdk.setConversationCustomData({conversationIDList: [sent.conversationID], customData: 'x'})": (
        stubs.NO_CONVERSATIONS
    ),
    "sdk.setMessageRemindType({userIDList: ['peer'], messageRemindType: 'AcceptNotNotify'})": stubs.NO_MUTING,
    "sdk.addToBlacklist({userIDList: ['peer']})": stubs.NO_BLACKLIST,
    "sdk.removeFromBlacklist({userIDList: ['peer']})": stubs.NO_BLACKLIST,
    "sdk.createGroup({name: 'g', type: 'Private'})": NO_GROUPS,
    "sdk.joinGroup({groupID: '@TGS#1', type: 'Public'})": NO_GROUPS,
    "sdk.getGroupProfile({groupID: '@TGS#1'})": NO_GROUPS,
    "sdk.searchGroupByID('@TGS#1')": NO_GROUPS,
    "sdk.updateGroupProfile({groupID: '@TGS#1', name: 'n'})": NO_GROUPS,
    "sdk.sendMessage(sdk.createTextMessage({to: '@TGS#1', conversationType: 'GROUP', payload: {text: 'x'}}))": (
        NO_GROUPS
    ),
}
OWN = ("sdk.updateMyProfile({nick: 'x'})", "sdk.setSelfStatus({customStatus: 'x'})")
CONTACTS = {
    "sdk.addFriend({to: 'peer', source: 'AddSource_Type_Web', type: 'Add_Type_Both'})": stubs.NO_CONTACTS,
    "sdk.acceptFriendApplication({userID: 'peer', type: 'Response_Action_Agree'})": stubs.NO_CONTACTS,
    "sdk.createFriendGroup({name: 'g', userIDList: ['peer']})": stubs.NO_CONTACTS,
}
"""Calls that tim-js-sdk has in a file of its own."""


def settled(page: SDKPage, call: str) -> dict[str, Any]:
    found: dict[str, Any] = page.page.evaluate(f"() => settled({call})")
    return found


def test_what_reads_resolves_with_nothing(sdk: SDK, open_page: OpenPage, account: Account) -> None:
    page = open_page(sdk)
    page.logs_in(account("alice"))
    assert {call: settled(page, call) for call in READS} == {call: {"code": 0, "data": READS[call]} for call in READS}


def test_what_would_change_something_is_refused_in_words(sdk: SDK, open_page: OpenPage, account: Account) -> None:
    page = open_page(sdk)
    page.logs_in(account("alice"))
    text = f"{{to: '{page.user_id}', conversationType: 'C2C', payload: {{text: 'x'}}}}"
    page.page.evaluate(
        f"() => sdk.sendMessage(sdk.createTextMessage({text})).then(it => {{ window.sent = it.data.message; }})"
    )
    calls = CHANGES | CONTACTS if sdk == NEW else CHANGES
    assert {call: settled(page, call) for call in calls} == {
        call: {"code": NO_SUCH_COMMAND, "message": why} for call, why in calls.items()
    }
    assert page.sends(page.user_id, "goes on")["code"] == 0
    assert len(page.sockets) == 1


def test_an_account_sets_its_own_profile_and_its_app_goes_on(sdk: SDK, open_page: OpenPage, account: Account) -> None:
    page = open_page(sdk)
    page.logs_in(account("alice"))
    assert {call: settled(page, call)["code"] for call in OWN} == dict.fromkeys(OWN, 0)


def test_nothing_that_a_page_sends_when_it_starts_is_refused(sdk: SDK, open_page: OpenPage, account: Account) -> None:
    page = open_page(sdk)
    page.logs_in(account("alice"))
    last = "im_sdk_config_mgr.fetch_imsdk_purchase_bitsv2"
    # `heard` lets the browser report the frames.
    until(lambda: page.heard() and last in [each.command for each in page.frames if not each.sent], "it asks for less")
    answers = [frame for frame in page.frames if not frame.sent]
    assert [frame for frame in answers if frame.packet["body"].get("ErrorCode")] == []


def test_the_document_says_what_is_refused() -> None:
    assert [why for why in stubs.REFUSED.values() if why not in (ROOT / DOCUMENT).read_text(encoding="utf-8")] == []
