"""An account whose tab a thief has evicted, and what its browser says of that."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.support.wire import Answer, Door, ScriptTab, log_in, login_page_of, post


@dataclass(frozen=True)
class Displaced:
    """The owner of an account that a thief has evicted.

    Attributes:
        sig: the UserSig that both have.
        page: the owner's login page with the notice.
    """

    owner: ScriptTab
    thief: ScriptTab
    sig: str
    page: str

    @classmethod
    def at(cls, server: Door, user: str, there: Door | None = None) -> Displaced:
        """Both logged in at this server, or the thief at another one; one of them has a seat."""
        sig = server.user_sig(user)
        owner, thief = log_in(server, user, sig), log_in(there or server, user, sig)
        return cls(owner, thief, sig, login_page_of(owner))

    @property
    def proof(self) -> str:
        found = re.search(r'name="proof" value="([^"]+)"', self.page)
        assert found, self.page
        return found[1]

    def says(self, cookie: str | None = None, proof: str | None = None) -> Answer:
        """The answer to "that wasn't me", by the owner's browser unless said otherwise."""
        form = {"proof": self.proof if proof is None else proof}
        return post(self.owner.server, "/login/not-me", form, cookie=self.owner.browser if cookie is None else cookie)
