"""What an administrator can do, where neither the store nor a page tells it already."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tim import Backend
from tim.errors import BadParameter
from tim.rules import LATEST


@pytest.mark.parametrize("until", [0.0, -math.inf, math.nan, math.inf, float(LATEST), 1e18])
def test_a_block_ends_at_a_time_that_can_be_told(until: float, make_backend: Callable[..., Backend]) -> None:
    admin = make_backend().admin("console admin")
    with pytest.raises(BadParameter, match="until"):
        admin.block("alice", until, "spam")
    assert admin.account("alice").block is None
