"""What can go wrong, as one tree.

SweepError
├── InputError          the person who called can mend it: exit status 2, one line a issue, before any trial starts
│   ├── ConfigError     the sweep file
│   ├── DataError       the data set
│   ├── TrackingError   the MLflow server
│   ├── ClusterError    the Ray cluster
│   ├── StorageError    the store that holds the sweeps; exit status 1 where it only does not answer for now
│   ├── UnknownSweep    no sweep of that name
│   ├── SweepLocked       another process runs the sweep
│   ├── UndeliveredError  what would be deleted is nowhere else
│   ├── SweepDone       the sweep has nothing left to train
│   ├── UnknownTrial    no trial of that name
│   └── UnknownModel    no registered model, version or alias of that name
├── PromotionConflict   another promotion was first: exit status 1
└── SweepFailed         no trial of the sweep came to an end: exit status 1
"""

from collections.abc import Sequence


class SweepError(Exception):
    """Anything this package raises on purpose."""


class InputError(SweepError):
    """What was asked for cannot be done as asked; `issues` holds one line for each thing wrong."""

    def __init__(self, issues: str | Sequence[str]) -> None:
        lines = (issues,) if isinstance(issues, str) else tuple(issues)
        # Whatever came may be quoted in them, line breaks too.
        self.issues: tuple[str, ...] = tuple(" ".join(line.splitlines()) for line in lines)
        super().__init__("\n".join(self.issues))


class ConfigError(InputError):
    """The sweep file, or what `--set` made of it."""


class DataError(InputError):
    """The data set is missing, damaged or does not fit the model."""


class TrackingError(InputError):
    """The MLflow tracking server does not answer, or refuses."""


class ClusterError(InputError):
    """The Ray cluster does not answer, or lacks what the sweep needs."""


class StorageError(InputError, OSError):
    """The store that holds the sweeps does not answer, or refuses; `passes` where trying again may help."""

    def __init__(self, issues: str, *, passes: bool) -> None:
        super().__init__(issues)
        self.passes = passes


class UnknownSweep(InputError):
    """No sweep has that id."""


class SweepLocked(InputError):
    """Another process runs the sweep."""


class UndeliveredError(InputError):
    """What would be deleted is nowhere else."""


class SweepDone(InputError):
    """The sweep has nothing left to train, or nothing that runs."""


class UnknownTrial(InputError):
    """No trial of the sweep has that id."""


class UnknownModel(InputError):
    """The registry has no model of that name, or none that holds the alias."""


class PromotionConflict(SweepError):
    """Another promotion holds the alias's lock, or has moved the alias meanwhile."""


class SweepFailed(SweepError):
    """The sweep ended without one finished trial."""
