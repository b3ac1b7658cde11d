"""Draw each figure of a trial; a function has the name of its figure in `figures.table`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeps.models.figures.learning_curves import LearningCurves, RankedEpoch, draw_learning_curves
from sweeps.models.figures.panels import draw_labelled_rows, draw_scales, draw_stages
from sweeps.models.figures.plots import draw_codes, draw_matrix
from sweeps.models.figures.tiles import draw_all_filters, draw_rows, enlarged
from sweeps.models.image_shape import ImageShape
from sweeps.models.pca import PrincipalComponents

Arrays = Mapping[str, NDArray[Any]]
Picture = Image.Image | bytes  # bytes are a PNG already

_CURVES = ("pretrain/loss", "train/loss", "valid/mse", "valid/denoise_mse", "valid/classification_error")


@dataclass(frozen=True)
class Trial:
    """What a trial leaves to draw a figure from; arrays are read on first use, with what reading them raises.

    `history` holds its metrics by epoch; `levels` are the errors to compare with, such as PCA's, by their captions.
    `load_source` reads the arrays of the figure's source, a snapshot or the best epoch, `load_references` those that
    all trials of the sweep share (the mean of the data, PCA), and `load_snapshot` those of an epoch. `name` is that of
    its run, `ranked` the epoch by which it is ranked.
    """

    history: Mapping[int, Mapping[str, float]]
    levels: Mapping[str, float]
    load_source: Callable[[], Arrays]
    load_references: Callable[[], Arrays]
    load_snapshot: Callable[[int], Arrays]
    name: str = ""
    ranked: RankedEpoch = field(default_factory=RankedEpoch)

    @cached_property
    def arrays(self) -> Arrays:
        """The arrays of the figure's source."""
        return self.load_source()

    @cached_property
    def references(self) -> Arrays:
        """The arrays that all trials of the sweep share: `mean` (features,), and of PCA `components` (features, n)."""
        return self.load_references()

    @property
    def epoch(self) -> int:
        """The best epoch."""
        return int(self.arrays["epoch"])

    @property
    def image_shape(self) -> ImageShape:
        """The shape of a sample, if it is an image."""
        return tuple(self.arrays["image_shape"].tolist()) if "image_shape" in self.arrays else None

    @property
    def caption(self) -> str:
        """The autoencoder with its error at the best epoch."""
        return _with_error("autoencoder", self.history.get(self.epoch, {}).get("valid/mse"))

    @property
    def pca(self) -> tuple[str, PrincipalComponents] | None:
        """PCA with as many components as the code has units, and its caption; None if the code is no bottleneck."""
        name = next((name for name in self.levels if name.startswith("PCA")), None)
        n_components = int(self.arrays["code_size"])
        if name is None or self.references["components"].shape[1] < n_components:
            return None
        components = self.references["components"][:, :n_components]
        pca = PrincipalComponents(self.references["mean"], components, n_components)
        return _with_error(name, self.levels[name]), pca

    def stages(self, name: str) -> list[tuple[str, NDArray[Any]]]:
        """Return an array before fine-tuning, if the trial was pretrained, and at the best epoch, with captions."""
        after = self.arrays[name]
        if "n_pretraining_epochs" not in self.arrays:
            return [("", after)]
        epoch = int(self.arrays["n_pretraining_epochs"])
        before = self.load_snapshot(epoch)[name]
        change = np.linalg.norm(after - before) / np.linalg.norm(before)
        return [
            (f"before fine-tuning, epoch {epoch}", before),
            (f"after it, epoch {self.epoch}: changed by {change:.0%} of its norm", after),
        ]


def filters(trial: Trial) -> Picture:
    """Draw the filters of the first layer at an epoch."""
    return enlarged(draw_all_filters(trial.arrays["filters"], trial.image_shape))


def reconstructions(trial: Trial) -> Picture:
    """Draw validation samples and their reconstructions at an epoch."""
    return enlarged(draw_rows([trial.arrays["originals"], trial.arrays["reconstructions"]], trial.image_shape))


def loss_curve(trial: Trial) -> Picture:
    """Draw the objectives, losses and errors of all epochs, and mark the one that ranks the trial."""
    names = dict.fromkeys((*trial.ranked.objectives, *_CURVES))
    series = {name: curve for name in names if (curve := _curve(trial, name))[0]}
    return draw_learning_curves(LearningCurves(series, trial.levels, trial.name, trial.ranked))


def filters_in_two_scales(trial: Trial) -> Picture:
    """Draw the filters of the best epoch, each in its own range and all in one, beside the mean of the data."""
    assert trial.image_shape is not None
    title = f"Filters of the first layer, epoch {trial.epoch}"
    return draw_scales(title, trial.arrays["filters"], trial.image_shape, trial.references["mean"])


def filters_before_and_after(trial: Trial) -> Picture:
    """Draw the filters at the end of pretraining and at the best epoch."""
    title = "Filters of the first layer before and after fine-tuning, each in its own range"
    return draw_stages(title, trial.stages("filters"), trial.image_shape)


def encoder_product(trial: Trial) -> Picture:
    """Draw the product of the encoder's weight matrices: what a unit of the code would look for if all were linear."""
    title = f"Product of the encoder's weights, a tile for each unit of the code, epoch {trial.epoch}"
    return draw_stages(title, trial.stages("product"), trial.image_shape)


def reconstructions_and_pca(trial: Trial) -> Picture:
    """Draw validation samples, their reconstructions by PCA if the code is a bottleneck, and by the autoencoder."""
    originals = trial.arrays["originals"]
    rows: list[tuple[str, Any]] = [("originals", originals), (trial.caption, trial.arrays["reconstructions"])]
    if trial.pca is not None:
        caption, pca = trial.pca
        rows.insert(1, (caption, pca.reconstruct(originals)))
    return draw_labelled_rows(f"Reconstructions of validation samples, epoch {trial.epoch}", rows, trial.image_shape)


def codes(trial: Trial) -> Picture:
    """Draw codes of two units as points in a plane, beside PCA's."""
    values, references = trial.arrays["codes"], trial.references
    panels = [(trial.caption, "unit", values)]
    if trial.pca is not None and "codes" in references:
        panels.insert(0, (trial.pca[0], "component", references["codes"]))
    title = f"Codes of {len(values)} validation samples, epoch {trial.epoch}"
    return draw_codes(title, panels, references.get("labels"))


def weights(trial: Trial) -> Picture:
    """Draw the weight matrix of a linear network."""
    return draw_matrix(f"Weight matrix, epoch {trial.epoch}", trial.arrays["weights"])


def _curve(trial: Trial, name: str) -> tuple[Sequence[int], Sequence[float]]:
    points = [(epoch, metrics[name]) for epoch, metrics in trial.history.items() if name in metrics]
    return [epoch for epoch, _ in points], [value for _, value in points]


def _with_error(name: str, mse: float | None) -> str:
    return name if mse is None else f"{name}\nmse {mse:.4g}"
