"""The exceptions of this package, as one tree.

SweepError
├── InputError            the caller can fix it: exit status 2, one line per issue, before any trial starts
│   ├── ConfigError       the sweep file is invalid
│   ├── DataError         the data set is missing, damaged or does not fit
│   ├── TrackingError     the MLflow server is unreachable or refuses
│   ├── ClusterError      the Ray cluster is unreachable or too small
│   ├── StorageError      the sweep storage is unreachable or refuses; exit status 1 if the failure is temporary
│   ├── UnknownSweep      no sweep has that id
│   ├── SweepLocked       another process owns the sweep
│   ├── UndeliveredError  the records to delete are not in MLflow yet
│   ├── SweepDone         the sweep has nothing left to train
│   ├── UnknownTrial      no trial of the sweep has that id
│   ├── UnknownModel      no registered model, version or alias has that name
│   └── OutdatedModel     the registered version was packaged by an earlier release
├── PromotionConflict     another promotion moved the alias first: exit status 1
└── SweepFailed           no trial of the sweep finished: exit status 1
"""

from collections.abc import Sequence


class SweepError(Exception):
    """The base class of every exception that this package raises on purpose."""


# A message may quote input of any length.
MAX_LINE = 2000


class InputError(SweepError):
    """The request cannot be carried out as given; `issues` holds one line per issue."""

    def __init__(self, issues: str | Sequence[str]) -> None:
        lines = (issues,) if isinstance(issues, str) else tuple(issues)
        # A message may quote the input, with its line breaks.
        self.issues: tuple[str, ...] = tuple(_shortened(" ".join(line.splitlines())) for line in lines)
        super().__init__("\n".join(self.issues))

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows of this error: its issues. A traceback would hide what the caller can fix."""
        return [f"{type(self).__name__}: {issue}" for issue in self.issues]


class ConfigError(InputError):
    """The sweep file is invalid, or `--set` made it so."""


class DataError(InputError):
    """The data set is missing, damaged or does not fit the model."""


class TrackingError(InputError):
    """The MLflow tracking server is unreachable or refuses."""


class ClusterError(InputError):
    """The Ray cluster is unreachable, or lacks resources that the sweep needs."""


class StorageError(InputError, OSError):
    """The sweep storage is unreachable or refuses; `passes` if the failure is temporary."""

    def __init__(self, issues: str, *, passes: bool) -> None:
        super().__init__(issues)
        self.passes = passes


class UnknownSweep(InputError):
    """No sweep has that id."""


class SweepLocked(InputError):
    """Another process owns the sweep."""


class UndeliveredError(InputError):
    """The records to delete are not in MLflow yet."""


class SweepDone(InputError):
    """The sweep has nothing left to train, or to stop."""


class UnknownTrial(InputError):
    """No trial of the sweep has that id."""


class UnknownModel(InputError):
    """The registry has no model of that name, or no version of it holds the alias."""


class OutdatedModel(InputError):
    """The version was packaged by an earlier release, in files that could run code when they are read."""


class PromotionConflict(SweepError):
    """Another promotion has locked the alias, or has moved it in the meantime."""


class SweepFailed(SweepError):
    """The sweep ended without a finished trial."""


def reason_of(error: BaseException) -> str:
    """Return what was raised, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _shortened(line: str) -> str:
    half = MAX_LINE // 2
    return line if len(line) <= MAX_LINE else f"{line[:half]} [...] {line[-half:]}"
