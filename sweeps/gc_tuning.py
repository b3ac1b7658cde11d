"""Python's garbage collector, kept from looking through what is imported to stay: a fifth of the time of imports.

This package and what it stands on make half a million objects by being imported, hardly any of which is garbage.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Python's own is 700: so many more objects made than freed start a collection.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def collect_seldom() -> None:
    """Collect at longer intervals from now on, in a process that imports as it goes."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


@contextmanager
def imports_to_stay() -> Iterator[None]:
    """Collect nothing while what stays is imported, and leave that out of every later collection."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def leave_all() -> None:
    """Collect nothing at the process' end, for the system takes all of it: else that lasts a second."""
    gc.freeze()
