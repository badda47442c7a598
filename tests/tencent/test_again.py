"""A page that logs out and in again at once is ready each time, with each of the vendor's SDKs."""

from __future__ import annotations

from tests.support.sdk_site import SDK
from tests.support.waiting import until
from tests.tencent.conftest import Account, OpenPage

AGAIN = """async ([userID, userSig]) => {
    for (let n = 0; n < 5; n++) {
        await sdk.login({userID, userSig});
        await sdk.logout();
    }
    await sdk.login({userID, userSig});
}"""


def test_a_page_that_logs_in_again_at_once_becomes_ready(
    sdk: SDK, open_page: OpenPage, account: Account, rounds: int
) -> None:
    for _ in range(rounds):
        page, alice = open_page(sdk), account("alice")
        page.page.evaluate(AGAIN, [alice, page.server.user_sig(alice)])
        until(lambda page=page, alice=alice: page.sends(alice, "ready")["code"] == 0, "it is never ready")  # type: ignore[misc]
