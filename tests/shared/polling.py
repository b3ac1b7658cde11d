"""Wait for a condition instead of sleeping; `pythonpath` in pyproject.toml lets every test import this module."""

import time
from collections.abc import Callable

# Shorter than the time limit of a test.
SECONDS = 280.0


def wait_until(
    is_met: Callable[[], object], why: Callable[[], str] = str, *, seconds: float = SECONDS, pause: float = 0.05
) -> None:
    """Poll until a condition is met; after `seconds`, fail the test and print the result of `why`."""
    deadline = time.monotonic() + seconds
    while not is_met():
        assert time.monotonic() < deadline, f"the condition was not met within {seconds:.0f} s: {why()}"
        time.sleep(pause)
