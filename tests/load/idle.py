"""Sessions in which nothing happens."""

from __future__ import annotations

import asyncio
from time import perf_counter

from tests.load.amounts import Amounts
from tests.load.crowd import Crowd
from tests.load.processes import Processes
from tests.load.result import Result, Timed


async def idle(crowd: Crowd, amounts: Amounts, servers: Processes) -> Result:
    """So many sessions are open, and send what their face sends while nothing happens."""
    result = Result("idle", crowd.face)
    accounts = -(-amounts.sessions // crowd.seats)
    empty = servers.memory()
    async with crowd.online(range(accounts), result) as rows:
        sessions = [session for row in rows.values() for session in row]
        used = servers.cpu()
        with Timed(result) as timed:
            while (now := perf_counter()) < timed.began + amounts.seconds:
                for session in sessions:
                    session.beat(now)
                crowd.progress.says(f"idle: {sum(session.online for session in sessions)} are open")
                await asyncio.sleep(min(1.0, amounts.seconds))
        result.count("sessions that were lost", sum(not session.online for session in sessions))
        if servers:
            result.figures["cores that the servers take"] = (servers.cpu() - used) / timed.seconds
            result.figures["KiB of the servers a session"] = (servers.memory() - empty) / len(sessions)
    return result
