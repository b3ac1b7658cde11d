"""What can go wrong with a model, as one tree.

ModelError
└── DivergedError       a training whose loss or metric is no longer finite
"""

from collections.abc import Sequence


class ModelError(Exception):
    """A model cannot be built, read or trained as asked; `faults` holds one line for each thing wrong."""

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


class DivergedError(ModelError):
    """An epoch ended with a loss or metric that is NaN or infinite: training on cannot mend it."""
