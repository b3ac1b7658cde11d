"""The results of all sweeps under SWEEPS_HOME; one that cannot be read does not hide the others."""

from dataclasses import dataclass

from sweeps.errors import SweepError
from sweeps.storage.layout import all_folders
from sweeps.tracking.results import SweepResult, load_result


@dataclass(frozen=True)
class UnreadableSweep:
    """A sweep whose records cannot be read, and why in one line."""

    sweep: str
    reason: str

    def __str__(self) -> str:
        return f"{self.sweep} cannot be read: {self.reason}"


def load_all() -> tuple[list[SweepResult], list[UnreadableSweep]]:
    """Return every sweep under SWEEPS_HOME, newest first, and those that cannot be read."""
    results, unreadable = [], []
    for folder in reversed(all_folders()):
        try:
            results.append(load_result(folder))
        except SweepError as error:
            unreadable.append(UnreadableSweep(folder.id, " ".join(str(error).split())))
    return results, unreadable
