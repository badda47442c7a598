"""The codes of errors. The numbers are the vendor's.

The range of a code tells the client what to do.

    0 … 9999                        change the client's state: log in, or wait for SDK_READY
    20000 … 29999, 80000 … 99999    change the request
    60000 … 69999                   retry later
    70000 … 79999                   log in with other credentials or parameters
"""

from __future__ import annotations

from typing import Final

NOT_LOGGED_IN: Final = 2024
NOT_READY: Final = 2999
BAD_FRAME: Final = 20001
NO_SUCH_ACCOUNT: Final = 20003
UNREADABLE_JSON: Final = 60003
TOO_MANY_REQUESTS: Final = 60007
STORE_UNAVAILABLE: Final = 60008
NO_SUCH_COMMAND: Final = 60009
USERSIG_EXPIRED: Final = 70001
USERSIG_EMPTY: Final = 70002
USERSIG_MALFORMED: Final = 70003
USERSIG_FORGED: Final = 70009
USERSIG_OTHER_USER: Final = 70013
USERSIG_OTHER_APP: Final = 70014
UNKNOWN_APP: Final = 70020
TOO_MANY_FAILURES: Final = 70050
ACCOUNT_BLOCKED: Final = 70051
USERSIG_REVOKED: Final = 70052
AT_LIMIT: Final = 70053
ACCOUNT_NOT_IMPORTED: Final = 70107
BAD_PARAMETER: Final = 70402
NOT_ADMINISTRATOR: Final = 70403
MESSAGE_TOO_LONG: Final = 80002
BAD_BODY: Final = 90001
BAD_RECEIVER: Final = 90003
BAD_MSG_SEQ: Final = 90004
BAD_MSG_RANDOM: Final = 90005
BAD_TIME: Final = 90006
BAD_MSG_BODY: Final = 90007
BAD_SENDER: Final = 90008
BAD_ELEMENT: Final = 90010
TOO_MANY_ACCOUNTS: Final = 90011
BAD_SYNC: Final = 90031
BODY_TOO_LARGE: Final = 93000
