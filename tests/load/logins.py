"""Logins one after the other: into a free seat, and in place of another session."""

from __future__ import annotations

from tests.load.amounts import Amounts
from tests.load.crowd import NO_KICK, Crowd, kicks, leave
from tests.load.processes import Processes
from tests.load.result import Result, Timed


async def login(crowd: Crowd, amounts: Amounts, servers: Processes) -> Result:
    """One client logs in and out, each time with another account."""
    result = Result("login", crowd.face)
    accounts = min(amounts.number, amounts.accounts)
    await crowd.prepare(accounts)
    used = servers.cpu()
    with Timed(result):
        for n in range(amounts.number):
            session = crowd.session(n % accounts)
            if await crowd.enter(session, result):
                result.time("login to ready", session.ready - session.began)
            await leave(session)
            crowd.progress.says(f"login: {n + 1} of {amounts.number}")
    per_login(result, servers, used)
    return result


async def evict(crowd: Crowd, amounts: Amounts, servers: Processes) -> Result:
    """One account logs in again and again; each login takes the seat of its oldest session."""
    result = Result("evict", crowd.face)
    async with crowd.online([0], result) as rows:
        row = rows[0]
        used = servers.cpu()
        with Timed(result):
            for n in range(amounts.number):
                session = crowd.session(0)
                if not await crowd.enter(session, result):
                    continue
                row.append(session)
                result.time("login to ready", session.ready - session.began)
                await kicks([(session, row.popleft())], result)
                if NO_KICK in result.failures:
                    break
                crowd.progress.says(f"evict: {n + 1} of {amounts.number}")
        result.count("kicks of a wrong session", sum(session.kicked.done() for session in row))
        per_login(result, servers, used)
    return result


def per_login(result: Result, servers: Processes, used: float) -> None:
    """Note what a login took of the servers, which had `used` so many seconds of CPU before."""
    logins = result.counts.get("logins", 0)
    if servers and logins:
        result.figures["ms of CPU of the servers a login"] = (servers.cpu() - used) * 1000 / logins
