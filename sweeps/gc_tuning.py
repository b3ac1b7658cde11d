"""Keep Python's garbage collector from scanning imported modules: it takes a fifth of the time of imports.

Importing this package and what it depends on creates half a million objects, hardly any of which is garbage.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# A collection starts once this many more objects were created than freed; Python's default is 700.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def collect_seldom() -> None:
    """Collect at longer intervals from now on, in a process that imports as it runs."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


@contextmanager
def imports_to_stay() -> Iterator[None]:
    """Collect nothing while modules are imported, and exclude them from every later collection."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def skip_last_collection() -> None:
    """Collect nothing when the process ends, which would take a second: the system frees its memory anyway."""
    gc.freeze()
