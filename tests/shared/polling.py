"""Waiting for a condition, in place of a sleep; `pythonpath` in pyproject.toml lets every test import it."""

import time
from collections.abc import Callable

# Less than a test may take.
SECONDS = 280.0


def wait_until(
    is_met: Callable[[], object], why: Callable[[], str] = str, *, seconds: float = SECONDS, pause: float = 0.05
) -> None:
    """Poll until a condition is met; where that takes too long the test fails, and tells `why` that may be."""
    deadline = time.monotonic() + seconds
    while not is_met():
        assert time.monotonic() < deadline, f"it did not come to pass in {seconds:.0f} s: {why()}"
        time.sleep(pause)
