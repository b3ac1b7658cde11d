"""What can go wrong with a model, as one tree.

ModelError
└── DivergedError       a training whose loss or metric is no longer finite
"""

from collections.abc import Sequence


class ModelError(Exception):
    """A model cannot be built, read or trained as asked; `issues` holds one line for each thing wrong."""

    def __init__(self, issues: str | Sequence[str]) -> None:
        self.issues: tuple[str, ...] = (issues,) if isinstance(issues, str) else tuple(issues)
        super().__init__("\n".join(self.issues))


class DivergedError(ModelError):
    """An epoch ended with a loss or metric that is NaN or infinite: training on cannot mend it."""
