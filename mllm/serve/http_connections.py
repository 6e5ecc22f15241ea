"""Ends connections that never send a whole request header, which uvicorn itself waits for without end.

In: a uvicorn server. Out: closed connections. Knows no requests.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

CHECK_SECONDS = 5.0


async def close_silent(server: Any, seconds: float) -> None:
    """Close, until cancelled, every connection that has been between requests for `seconds`.

    Args:
        server: a running `uvicorn.Server`.
        seconds: that a header may take.
    """
    waiting: dict[Any, tuple[object, float]] = {}
    while True:
        now = time.monotonic()
        idle = [one for one in list(server.server_state.connections) if _is_between_requests(one)]
        waiting = {one: _since(waiting.get(one), getattr(one, "cycle", None), now) for one in idle}
        for connection, (_, since) in waiting.items():
            if now - since > seconds:
                connection.transport.close()
        await asyncio.sleep(min(CHECK_SECONDS, seconds))


def _is_between_requests(connection: Any) -> bool:
    """Whether no request of a connection of HTTP is being answered; connections of other kinds have no `cycle`."""
    if not hasattr(connection, "cycle"):
        return False
    return connection.cycle is None or bool(connection.cycle.response_complete)


def _since(before: tuple[object, float] | None, cycle: object, now: float) -> tuple[object, float]:
    """Behind which request the wait began, and when."""
    return before if before is not None and before[0] is cycle else (cycle, now)
