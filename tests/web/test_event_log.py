"""The log of SDK events shows the data of each in the vendor's form."""

from __future__ import annotations

import json

from tim.ends import TYPES
from tim.events import EVENT, Event
from tim.model import Message
from tim.web.templating import SHORT, data


def test_a_received_message_is_shown_as_the_vendor_has_it_and_a_long_text_is_cut() -> None:
    texts = ["<b>你好</b>", "x" * SHORT, "x" * (SHORT + 1)]
    messages = [Message(n, f"id-{n}", "alice", "bob", text, 1.75, "an instance") for n, text in enumerate(texts)]
    shown = json.loads(data(Event(EVENT.MESSAGE_RECEIVED, list(messages))))
    assert shown[0] == {"ID": "id-0", "from": "alice", "to": "bob", "time": 1, "payload": {"text": "<b>你好</b>"}}
    assert [each["payload"]["text"] for each in shown[1:]] == ["x" * SHORT, "x" * SHORT + "…"]
    assert "你好" in data(Event(EVENT.MESSAGE_RECEIVED, list(messages))), "as people read it"


def test_the_type_of_a_kick_is_shown() -> None:
    event = Event(EVENT.KICKED_OUT, {"type": TYPES.KICKED_OUT_MULT_ACCOUNT})
    assert json.loads(data(event)) == {"type": "multipleAccount"}
