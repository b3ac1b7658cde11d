"""What happens at which epoch of a point: snapshots, checkpoints, comparisons with other points."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochSchedule:
    """What happens at which epoch. Epochs count over all phases, from 1.

    A point trains `n_epochs` at most; early stopping may end it before. `details` asks for the arrays of detailed
    figures.
    """

    n_epochs: int
    rungs: frozenset[int] = frozenset()
    n_pretraining_epochs: int = 0
    details: bool = True

    def keeps(self, epoch: int) -> bool:
        """Whether an epoch leaves a snapshot and a checkpoint: at powers of two, rungs and the ends of both trainings.

        The last epoch leaves no checkpoint: nothing resumes from there.
        """
        return epoch & (epoch - 1) == 0 or epoch == self.n_pretraining_epochs or self.compares(epoch)

    def compares(self, epoch: int) -> bool:
        """Whether the point may end with this epoch, to be compared with others by any metric."""
        return epoch in self.rungs or epoch == self.n_epochs
