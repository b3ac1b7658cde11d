"""The detailed figures of a trial: which ones it has, and how each is drawn from the arrays of its best epoch."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeps.models.figures.panels import draw_labelled_rows, draw_scales, draw_stages
from sweeps.models.figures.plots import draw_codes, draw_matrix
from sweeps.models.pca import PrincipalComponents
from sweeps.storage.layout import PointFolder
from sweeps.storage.object_store import Place
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import FigureRecord

Arrays = Mapping[str, NDArray[Any]]
Picture = Image.Image | bytes  # bytes: a PNG


def record_detailed_figures(journal: Journal, folder: PointFolder, time_ms: int) -> None:
    """Request the loss curve of a trial, and each detailed figure that its arrays allow."""
    journal.record_figure(folder.point_id, FigureRecord("loss_curve.png", "loss_curve"), time_ms)
    source = folder.in_sweep(folder.best_arrays)
    for kind in figures_of(folder):
        journal.record_figure(folder.point_id, FigureRecord(f"detailed/{kind}.png", kind, source), time_ms)


def figures_of(folder: PointFolder) -> list[str]:
    """Return the kinds of detailed figures that a trial's arrays allow; none if it has saved no best epoch."""
    if not folder.best_arrays.exists():
        return []
    with np.load(io.BytesIO(folder.best_arrays.read_bytes()), allow_pickle=False) as file:
        return [kind for kind, figure in KINDS.items() if figure.needed <= set(file.files)]


def draw_detailed(
    kind: str, folder: PointFolder, history: Mapping[int, Mapping[str, float]], levels: Mapping[str, float]
) -> Picture:
    """Draw a figure of one of `KINDS`; KeyError or OSError if an array is missing.

    `history` holds the metrics of the trial by epoch, `levels` the errors of the baselines by name.
    """
    best = _load(folder.best_arrays)
    return KINDS[kind].draw(_Trial(folder, best, history.get(int(best["epoch"]), {}), levels))


@dataclass(frozen=True)
class _Trial:
    """A trial at its best epoch: its folder, arrays and metrics, and the errors of the baselines."""

    folder: PointFolder
    best: Arrays
    metrics: Mapping[str, float]
    levels: Mapping[str, float]

    @property
    def epoch(self) -> int:
        return int(self.best["epoch"])

    @property
    def image_shape(self) -> tuple[int, int] | None:
        return _image_shape(self.best)

    @cached_property
    def references(self) -> Arrays:
        return _load(self.folder.sweep.references)

    @property
    def caption(self) -> str:
        return _with_error("autoencoder", self.metrics.get("valid/mse"))

    @property
    def pca(self) -> tuple[str, PrincipalComponents] | None:
        """Return a caption, and PCA with as many components as the code; None if the code is no bottleneck."""
        name = next((name for name in self.levels if name.startswith("PCA")), None)
        n_components = int(self.best["code_size"])
        if name is None or self.references["components"].shape[1] < n_components:
            return None
        components = self.references["components"][:, :n_components]
        return _with_error(name, self.levels[name]), PrincipalComponents(
            self.references["mean"], components, n_components
        )

    def stages(self, name: str) -> list[tuple[str, NDArray[Any]]]:
        """Return an array at the best epoch, after pretraining also before fine-tuning, with captions."""
        after = self.best[name]
        if "n_pretraining_epochs" not in self.best:
            return [("", after)]
        epoch = int(self.best["n_pretraining_epochs"])
        before = _load(self.folder.snapshot(epoch))[name]
        change = np.linalg.norm(after - before) / np.linalg.norm(before)
        return [
            (f"before fine-tuning, epoch {epoch}", before),
            (f"after it, epoch {self.epoch}: changed by {change:.0%} of its norm", after),
        ]


def _draw_filters(trial: _Trial) -> Picture:
    assert trial.image_shape is not None
    title = f"Filters of the first layer, epoch {trial.epoch}"
    return draw_scales(title, trial.best["filters"], trial.image_shape, trial.references["mean"])


def _draw_fine_tuning(trial: _Trial) -> Picture:
    title = "Filters of the first layer before and after fine-tuning, each in its own range"
    return draw_stages(title, trial.stages("filters"), trial.image_shape)


def _draw_product(trial: _Trial) -> Picture:
    title = f"Product of the encoder's weights, a tile for each unit of the code, epoch {trial.epoch}"
    return draw_stages(title, trial.stages("product"), trial.image_shape)


def _draw_reconstructions(trial: _Trial) -> Picture:
    originals = trial.best["originals"]
    rows = [("originals", originals), (trial.caption, trial.best["reconstructions"])]
    if trial.pca is not None:
        caption, pca = trial.pca
        rows.insert(1, (caption, pca.reconstruct(originals)))
    return draw_labelled_rows(f"Reconstructions of validation samples, epoch {trial.epoch}", rows, trial.image_shape)


def _draw_codes(trial: _Trial) -> Picture:
    codes, references = trial.best["codes"], trial.references
    panels = [(trial.caption, "unit", codes)]
    if trial.pca is not None and "codes" in references:
        panels.insert(0, (trial.pca[0], "component", references["codes"]))
    title = f"Codes of {len(codes)} validation samples, epoch {trial.epoch}"
    return draw_codes(title, panels, references.get("labels"))


def _draw_weights(trial: _Trial) -> Picture:
    return draw_matrix(f"Weight matrix, epoch {trial.epoch}", trial.best["weights"])


class _Figure(NamedTuple):
    """The arrays that a figure needs, and how it is drawn."""

    needed: frozenset[str]
    draw: Callable[[_Trial], Picture]


# By their names in MLflow.
KINDS = {
    "filters_in_two_scales": _Figure(frozenset({"filters", "image_shape"}), _draw_filters),
    "filters_before_and_after": _Figure(frozenset({"filters", "n_pretraining_epochs"}), _draw_fine_tuning),
    "encoder_product": _Figure(frozenset({"product"}), _draw_product),
    "reconstructions_and_pca": _Figure(frozenset({"originals", "reconstructions"}), _draw_reconstructions),
    "codes": _Figure(frozenset({"codes"}), _draw_codes),
    "weights": _Figure(frozenset({"weights"}), _draw_weights),
}


def _image_shape(arrays: Arrays) -> tuple[int, int] | None:
    if "image_shape" not in arrays:
        return None
    height, width = arrays["image_shape"].tolist()
    return height, width


def _with_error(name: str, mse: float | None) -> str:
    return name if mse is None else f"{name}\nmse {mse:.4g}"


def _load(path: Place) -> Arrays:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
