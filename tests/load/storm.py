"""Many logins at the same time, each of which evicts a session."""

from __future__ import annotations

import asyncio
import random
from time import perf_counter

from tests.load.amounts import Amounts
from tests.load.crowd import Crowd, kicks
from tests.load.logins import per_login
from tests.load.processes import Processes
from tests.load.result import Result, Timed
from tests.load.session import Session


async def storm(crowd: Crowd, amounts: Amounts, servers: Processes) -> Result:
    """All seats of all accounts are taken; then so many clients log in for so many seconds, each time as an account
    with which nobody else logs in at that moment."""
    result = Result("storm", crowd.face)
    chance = random.Random(0)
    async with crowd.online(range(amounts.accounts), result) as rows:
        free = list(rows)
        pairs: list[tuple[Session, Session]] = []

        async def client(until: float) -> None:
            while free and perf_counter() < until:
                number = free.pop(chance.randrange(len(free)))
                session = crowd.session(number)
                if await crowd.enter(session, result):
                    rows[number].append(session)
                    pairs.append((session, rows[number].popleft()))
                    result.time("login to ready", session.ready - session.began)
                    result.moments.append(session.ready - timed.began)
                free.append(number)
                crowd.progress.says(f"storm: {len(pairs)} logins")

        used = servers.cpu()
        with Timed(result) as timed:
            until = timed.began + amounts.seconds
            await asyncio.gather(*(client(until) for _ in range(amounts.clients)))
        per_login(result, servers, used)
        await kicks(pairs, result)
    result.figures["logins a second"] = len(pairs) / timed.seconds
    return result
