"""At which epochs of a point what is done: snapshots, checkpoints, comparisons with other points, its end."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochSchedule:
    """What to do at which epoch of a point; epochs are counted over all phases, from 1.

    `identity` stands for the point's settings: what lies in its folder may be of another point that had its id before.
    `n_epochs` are the most that a point takes; with `patience` it may take fewer, for which the last phase's count.
    """

    n_epochs: int
    rungs: frozenset[int] = frozenset()
    n_probe_samples: int = 0
    patience: int | None = None
    n_pretraining_epochs: int = 0
    details: bool = True
    identity: str = ""

    def keeps(self, epoch: int) -> bool:
        """Whether a snapshot and a checkpoint are made: at the start, at powers of two, at rungs and at the end.

        And at the end of pre-training. The point's own end has a snapshot alone: nothing goes on from there. With
        `details` the best epoch so far is kept then for its detailed figures.
        """
        return epoch & (epoch - 1) == 0 or epoch == self.n_pretraining_epochs or self.compares(epoch)

    def compares(self, epoch: int) -> bool:
        """Whether the point may end here, and be compared with others by all of its metrics: at rungs and the end."""
        return epoch in self.rungs or epoch == self.n_epochs
