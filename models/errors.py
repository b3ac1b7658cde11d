"""The exceptions of models, as one tree.

ModelError
└── DivergedError       a loss or metric is no longer finite
"""

from collections.abc import Sequence


class ModelError(Exception):
    """A model cannot be built, read or trained as asked; `issues` holds one line per issue."""

    def __init__(self, issues: str | Sequence[str]) -> None:
        self.issues: tuple[str, ...] = (issues,) if isinstance(issues, str) else tuple(issues)
        super().__init__("\n".join(self.issues))


class DivergedError(ModelError):
    """An epoch ended with a loss or metric that is NaN or infinite; more training cannot fix it."""
