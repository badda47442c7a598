"""A text for people that the pages can show in another language: English here, and for every other reader."""

from __future__ import annotations

from typing import Any


class Text(str):
    """An English text that remembers from which key and values it was made.

    Attributes:
        id: the key in the catalogues: the English text with named placeholders, such as `%(name)s`.
        values: of the placeholders by name; they may be texts in turn.
    """

    id: str
    values: dict[str, Any]


def text(id: str, **values: Any) -> Text:
    """Return the text `id` with its placeholders filled. What is extracted for translation is the literal `id`."""
    made = Text(id % values if values else id)
    made.id, made.values = id, values
    return made
