"""The administrator of the app, who calls its REST API."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode

from tests.support.server import ADMINISTRATOR, APP, Server
from tests.support.waiting import PATIENCE


class Administrator:
    """Calls one server's API; HTTP must say 200 whatever happens."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def calls(
        self, command: str, body: Any, *, method: str = "POST", headers: dict[str, str] | None = None, **query: Any
    ) -> dict[str, Any]:
        """The answer to `service/command`; `body` is sent as it is where it is bytes, as JSON otherwise."""
        asked = {
            "sdkappid": APP,
            "identifier": ADMINISTRATOR,
            "usersig": self._server.user_sig(ADMINISTRATOR),
            "random": 99999999,
            "contenttype": "json",
            **query,
        }
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=PATIENCE)
        try:
            connection.request(method, f"/v4/{command}?{urlencode(asked)}", content, headers or {})
            response = connection.getresponse()
            assert response.status == 200, response.status
            answer: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        assert {"ActionStatus", "ErrorInfo", "ErrorCode"} <= answer.keys()
        assert (answer["ActionStatus"] == "OK") == (answer["ErrorCode"] == 0)
        assert bool(answer["ErrorInfo"]) == (answer["ErrorCode"] != 0), "a refusal says why"
        return answer

    def kicks(self, user_id: str) -> None:
        assert self.calls("im_open_login_svc/kick", {"UserID": user_id})["ErrorCode"] == 0

    def imports(self, user_id: str) -> None:
        assert self.calls("im_open_login_svc/account_import", {"UserID": user_id})["ErrorCode"] == 0

    def seats(self, user_id: str) -> list[str]:
        """How each live instance of the account is: Online or PushOnline."""
        asked = {"To_Account": [user_id], "IsNeedDetail": 1}
        found = self.calls("openim/query_online_status", asked)["QueryResult"][0]
        return [detail["Status"] for detail in found.get("Detail", [])]
