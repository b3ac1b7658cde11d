"""What shows the progress of a sweep that Python started: a bar in a notebook, the live view in a terminal."""

import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from sweeps.tracking.progress import Progress

Watch: TypeAlias = Callable[["Progress"], None]


@contextmanager
def shown_progress(progress: bool | Watch) -> Iterator[Watch | None]:
    """Yield what gets the counters of each sweep that starts.

    True chooses by where this runs: a notebook, a terminal, or neither, where nothing is shown. False shows nothing.
    """
    if not isinstance(progress, bool):
        yield progress
    elif progress and is_notebook():
        from sweeps.api.notebook_bar import notebook_bar

        with notebook_bar() as watch, without_hints_at_widgets():
            yield watch
    elif progress and sys.stderr.isatty():
        from sweeps.cli.display.live import live_view

        with live_view() as watch:
            yield watch
    else:
        yield None


@contextmanager
def without_hints_at_widgets() -> Iterator[None]:
    """Keep Ray, and tqdm when MLflow imports it, from asking for ipywidgets in a notebook: nothing here uses them."""
    logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield


def is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook; IPython is not imported for that."""
    if "IPython" not in sys.modules:
        return False
    shell = importlib.import_module("IPython").get_ipython()
    return getattr(shell, "kernel", None) is not None
