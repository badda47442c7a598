"""A tab of the load client asks as a browser does."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest

from tests.load.tab import Tab
from tests.load.target import Target

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def questions(answered: int) -> int:
    """Ask twice a server that ends each connection at its next question after so many. Returns how many came."""
    came = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        with closing(writer), suppress(asyncio.IncompleteReadError):
            for _ in range(answered):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(ANSWER)
            await reader.readuntil(b"\r\n\r\n")

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tab = Tab(Target.at(f"http://127.0.0.1:{port}"), 1, "alice", "")
        for _ in range(2):
            assert (await tab._ask("GET", "/")).status == 200
        tab.cut()
    return came


def connections(answered: int) -> int:
    with ThreadPoolExecutor(1) as pool:  # a browser of another test keeps an event loop in this thread
        return pool.submit(asyncio.run, questions(answered)).result()


def test_a_kept_connection_that_has_just_ended_is_replaced() -> None:
    assert connections(1) == 2


def test_a_new_one_that_ends_without_an_answer_is_an_error() -> None:
    with pytest.raises(ConnectionResetError):
        connections(0)
