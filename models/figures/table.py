"""The figures of a trial, one line each. Imports nothing heavy: drawing and measuring are imported on first use.

A new figure is a line here, and a function of the same name in `figures.drawings`. If it shows arrays that no other
figure does, `measures` is True and a function of the same name in `figures.arrays` takes them from the network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, Literal

# As many filters, or units of a code, as a figure shows: those of a thousand units would take 3 MB a snapshot.
N_FILTERS = 100
# As many validation samples as a figure of codes shows; those of PCA are of the same samples.
N_CODES = 5000

FigureSource = Literal["snapshot", "best epoch", "metrics"]
_FILES: dict[FigureSource, str] = {
    "snapshot": "{kind}/epoch-{epoch:05d}.png",
    "best epoch": "detailed/{kind}.png",
    "metrics": "{kind}.png",
}


@dataclass(frozen=True)
class Figure:
    """A figure: one per `snapshot` of a trial, or one at its end, from its `best epoch` or its `metrics`.

    `kind` is its name in journals and in MLflow, so it must not change. It is drawn if its source has all arrays that
    it `needs`.
    """

    kind: str
    source: FigureSource
    needs: frozenset[str] = frozenset()
    measures: bool = False

    def file(self, epoch: int = 0) -> str:
        """Return its name in a run, a path; `epoch` is that of a snapshot, which MLflow shows in its image grid."""
        return _FILES[self.source].format(kind=self.kind, epoch=epoch)

    @property
    def draw(self) -> Callable[..., Any]:
        """Its function in `figures.drawings`: (Trial) -> Picture."""
        draw: Callable[..., Any] = resolve_name(f"sweeps.models.figures.drawings:{self.kind}")
        return draw

    @property
    def arrays(self) -> Callable[..., Any]:
        """Its function in `figures.arrays`: (network, sample) -> arrays by name, if it `measures`."""
        arrays: Callable[..., Any] = resolve_name(f"sweeps.models.figures.arrays:{self.kind}")
        return arrays


FIGURES = {
    figure.kind: figure
    for figure in (
        Figure("filters", "snapshot", frozenset({"filters"})),
        Figure("reconstructions", "snapshot", frozenset({"originals", "reconstructions"})),
        Figure("loss_curve", "metrics"),
        Figure("filters_in_two_scales", "best epoch", frozenset({"filters", "image_shape"})),
        Figure("filters_before_and_after", "best epoch", frozenset({"filters", "n_pretraining_epochs"})),
        Figure("encoder_product", "best epoch", frozenset({"product"}), measures=True),
        Figure("reconstructions_and_pca", "best epoch", frozenset({"originals", "reconstructions"})),
        Figure("codes", "best epoch", frozenset({"codes"}), measures=True),
        Figure("weights", "best epoch", frozenset({"weights"}), measures=True),
    )
}


def figures_from(source: FigureSource) -> list[Figure]:
    """Return the figures that are drawn from a source, in the order of the table."""
    return [figure for figure in FIGURES.values() if figure.source == source]
