"""The fields of a REST request's body that name accounts, checked."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from tim.codes import BAD_BODY, BAD_RECEIVER, TOO_MANY_ACCOUNTS
from tim.errors import BadParameter

MOST_ACCOUNTS: Final = 500
"""How many accounts one query may ask for, and one batch may send to."""
MOST_ITEMS: Final = 100
"""How many accounts one import, check or deletion may name."""

Body = dict[str, Any]
T = TypeVar("T")


def user_of(body: Body) -> str:
    # Server kits of before 2021 call it Identifier.
    user = body.get("UserID")
    if user is None:
        user = body.get("Identifier")
    if user is None:
        raise BadParameter("UserID", "UserID is missing")
    if not isinstance(user, str):
        raise BadParameter("UserID", 'UserID must be a string; put it into quotes, as in "86013800138000"')
    return user


def items_of(body: Body, name: str) -> list[str]:
    return [user_of(item) for item in _bounded(body, name, dict, 'accounts: [{"UserID": "..."}]')]


def names_of(body: Body, name: str) -> list[str]:
    return _bounded(body, name, str, 'UserIDs: ["...", "..."]')


def _bounded(body: Body, name: str, kind: type[T], what: str) -> list[T]:
    """The list `name` of the body, with 1 to MOST_ITEMS entries of this kind."""
    items = body.get(name)
    if not isinstance(items, list) or not items or not all(isinstance(item, kind) for item in items):
        raise BadParameter(name, f"{name} must be a list of {what}")
    if len(items) > MOST_ITEMS:
        raise BadParameter(name, f"{name} names more than {MOST_ITEMS} accounts")
    return items


def receivers_of(body: Body) -> list[str]:
    users = body.get("To_Account")
    if not isinstance(users, list) or not all(isinstance(user, str) for user in users):
        raise BadParameter("To_Account", "To_Account must be a list of UserIDs", BAD_RECEIVER)
    if not users:
        raise BadParameter("To_Account", "To_Account is empty", BAD_BODY)
    if len(users) > MOST_ACCOUNTS:
        raise BadParameter("To_Account", f"To_Account names more than {MOST_ACCOUNTS} accounts", TOO_MANY_ACCOUNTS)
    return users
