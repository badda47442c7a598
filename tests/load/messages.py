"""Messages from one account to another, many at the same time."""

from __future__ import annotations

import asyncio
from itertools import count
from time import perf_counter
from typing import Final

from tests.load.amounts import Amounts
from tests.load.crowd import PATIENCE, Crowd
from tests.load.processes import Processes
from tests.load.result import Result, Timed
from tests.load.session import Session

WARM_UP: Final = 1.0
"""Seconds of messages before those that count, at most a quarter of all."""


async def messages(crowd: Crowd, amounts: Amounts, servers: Processes) -> Result:
    """Each sender has so many messages under way that have not arrived or are not acknowledged."""
    result = Result("messages", crowd.face)
    numbers = count(1)
    arrivals = [0] * amounts.pairs
    began = perf_counter()

    async def send(pair: int, sender: Session, receiver: Session) -> None:
        while perf_counter() < until:
            number = next(numbers)
            arrival = receiver.expect(number)
            sent = perf_counter()
            try:
                async with asyncio.timeout(PATIENCE):
                    await sender.send(receiver.user, number)
                    acknowledged = perf_counter()
                    arrived = await arrival
            except (OSError, TimeoutError) as error:
                result.fail(error)
                return
            if sent >= began:
                arrivals[pair] += 1
                result.count("messages")
                result.moments.append(arrived - began)
                result.time("sent to arrived", arrived - sent)
                result.time("sent to acknowledged", acknowledged - sent)
            crowd.progress.says(f"messages: {sum(arrivals)}")

    async with crowd.online(range(2 * amounts.pairs), result) as rows:
        began = perf_counter() + min(WARM_UP, amounts.seconds / 4)
        until = began + amounts.seconds
        sending = [
            asyncio.create_task(send(pair, rows[2 * pair][0], rows[2 * pair + 1][0]))
            for pair in range(amounts.pairs)
            for _ in range(amounts.window)
        ]
        await asyncio.sleep(began - perf_counter())
        used = servers.cpu()
        with Timed(result) as timed:
            await asyncio.gather(*sending)
        if servers and sum(arrivals):
            result.figures["ms of CPU of the servers a message"] = (servers.cpu() - used) * 1000 / sum(arrivals)
    result.figures["messages a second"] = sum(arrivals) / timed.seconds
    result.figures["messages of the slowest pair"] = min(arrivals)
    result.figures["messages of the fastest pair"] = max(arrivals)
    return result
