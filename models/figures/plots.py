"""Plots with axes, drawn by matplotlib: codes, a weight matrix; each a PNG.

The first plot imports matplotlib. The functions keep no state: threads may draw concurrently.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sweeps.models.figures.matplotlib_png import as_png, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]

# Ten colours that are distinguishable with any colour vision (Petroff 2021, "Accessible color sequences").
_CLASS_COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
_LONGEST_LEGEND = 20


def draw_codes(title: str, panels: Sequence[tuple[str, str, Array]], labels: Array | None) -> bytes:
    """Draw codes of the same samples side by side as a PNG of 800x460.

    A panel is a caption, the name of its axes, and codes (samples, 2). With `labels` (samples,), each class has a
    colour (the ten colours repeat) and its number at its median; samples are drawn in random order, so that no class
    covers the others.
    """
    figure = new_figure(8.0, 4.6)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    classes = np.zeros(0) if labels is None else np.unique(labels)
    for axis, (caption, dimension, codes) in zip(axes, panels, strict=True):
        _scatter(axis, codes, labels, classes)
        axis.set_xlabel(f"{dimension} 1")
        axis.set_ylabel(f"{dimension} 2")
        axis.set_title(caption, fontsize=11)
    figure.suptitle(title, fontsize=12)
    if 0 < len(classes) <= _LONGEST_LEGEND:
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper", title="class", markerscale=4, frameon=False)
    return as_png(figure)


def draw_matrix(title: str, weights: Array) -> bytes:
    """Draw a square weight matrix (outputs, inputs) and the input of each output's largest weight: a PNG of 800x420.

    Columns are outputs, as in x W. The colour scale is symmetric about 0 and spans at least -1 to 1, so that an
    identity looks the same in every run. In the second panel, an identity has all its dots on the diagonal.
    """
    figure = new_figure(8.0, 4.2)
    image_axis, largest_axis = figure.subplots(1, 2)
    limit = max(1.0, float(np.abs(weights[np.isfinite(weights)]).max(initial=0)))
    image = image_axis.imshow(weights.T, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    figure.colorbar(image, ax=image_axis, shrink=0.8)
    image_axis.set_title("weights", fontsize=11)
    largest = weights.argmax(axis=1)  # (outputs,)
    outputs = np.arange(len(weights))
    largest_axis.plot(outputs, outputs, color="0.7", linewidth=1, zorder=0)
    largest_axis.scatter(outputs, largest, s=12, color=np.where(largest == outputs, "tab:blue", "tab:red"))
    largest_axis.set_title(_diagonal_caption(weights, largest), fontsize=11)
    largest_axis.set_xlim(image_axis.get_xlim())
    largest_axis.set_ylim(image_axis.get_ylim())
    largest_axis.set_aspect("equal")
    for axis, label in ((image_axis, "input feature"), (largest_axis, "input of the largest weight")):
        axis.set_xlabel("output feature")
        axis.set_ylabel(label)
    figure.suptitle(title, fontsize=12)
    return as_png(figure)


def _diagonal_caption(weights: Array, largest: Array) -> str:
    diagonal = np.diagonal(weights)
    n_on_diagonal = int(np.count_nonzero(largest == np.arange(len(weights))))
    return (
        f"largest weight on the diagonal: {n_on_diagonal} of {len(weights)}\n"
        f"diagonal from {diagonal.min():.3f} to {diagonal.max():.3f}"
    )


def _scatter(axis: "Axes", codes: Array, labels: Array | None, classes: Array) -> None:
    from matplotlib.patheffects import withStroke

    if labels is None:
        axis.scatter(codes[:, 0], codes[:, 1], s=3, color=_CLASS_COLOURS[0], linewidths=0)
        return
    colours = np.array(_CLASS_COLOURS)[np.searchsorted(classes, labels) % len(_CLASS_COLOURS)]
    for index, name in enumerate(classes):
        colour = _CLASS_COLOURS[index % len(_CLASS_COLOURS)]
        axis.scatter([], [], s=3, color=colour, linewidths=0, label=str(name))
        x, y = np.median(codes[labels == name], axis=0)
        halo = [withStroke(linewidth=3, foreground="white")]
        axis.text(x, y, str(name), fontsize=13, fontweight="bold", ha="center", va="center", path_effects=halo)
    order = np.random.default_rng(0).permutation(len(codes))
    axis.scatter(codes[order, 0], codes[order, 1], s=3, c=colours[order], linewidths=0)
