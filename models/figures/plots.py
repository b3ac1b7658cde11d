"""Plots with axes, drawn by matplotlib: learning curves, codes, a weight matrix; each a PNG.

The first plot imports matplotlib. The functions keep no state: threads may draw concurrently.
"""

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]
Series = Mapping[str, tuple[Sequence[int], Sequence[float]]]

_DPI = 100  # 800 pixels wide: MLflow scales an image down to its pane, 640 to 1,000 pixels wide
_COLOURS = {
    "valid/mse": "tab:blue",
    "valid/denoise_mse": "tab:orange",
    "valid/classification_error": "tab:red",
    "train/loss": "tab:green",
    "pretrain/loss": "tab:olive",
}
_OTHER_COLOURS = ("tab:purple", "tab:brown", "tab:pink", "tab:cyan")
_ABOVE = 1.5  # how far a panel extends above its highest line, to show it
_DECADES, _MOST_DECADES = 2, 12
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


def draw_loss_curve(series: Series, references: Mapping[str, float]) -> bytes:
    """Draw learning curves as a PNG of 800x500: validation errors, classification error and training losses.

    `series` maps a metric to its epochs and values. `references` maps a label (the mean predictor, PCA) to an error,
    drawn as a horizontal line among the validation errors. Training losses have their own panel, because penalties,
    noise and perhaps another loss make them incomparable with errors; so has the classification error. Axes are
    logarithmic, over the two decades below the highest reference (below 1 for the classification error), and longer
    only where a curve needs it, so that figures of trials on the same data can be compared.
    """
    train = {name: curve for name, curve in series.items() if name.startswith(("train/", "pretrain/"))}
    shares = {name: curve for name, curve in series.items() if name == "valid/classification_error"}
    errors = {name: curve for name, curve in series.items() if name not in train and name not in shares}
    figure = _figure(8.0, 5.0)
    highest = max((value for value in references.values() if math.isfinite(value)), default=None)
    every: list[tuple[Series, Mapping[str, float], float | None]] = [
        (errors, references, highest),
        (shares, {}, 1.0),
        (train, {}, None),
    ]
    panels = [panel for panel in every if panel[0] or panel[1]] or every[:1]
    axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=[3, 2, 2][: len(panels)])[0]
    for axis, (curves, lines, top) in zip(axes, panels, strict=True):
        _draw_panel(axis, curves, lines, top, narrow=len(panels) > 2)
    return _png(figure)


def draw_codes(title: str, panels: Sequence[tuple[str, str, Array]], labels: Array | None) -> bytes:
    """Draw codes of the same samples side by side as a PNG of 800x460.

    A panel is a caption, the name of its axes, and codes (samples, 2). With `labels` (samples,), each class has a
    colour (the ten colours repeat) and its number at its median; samples are drawn in random order, so that no class
    covers the others.
    """
    figure = _figure(8.0, 4.6)
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
    return _png(figure)


def draw_matrix(title: str, weights: Array) -> bytes:
    """Draw a square weight matrix (outputs, inputs) and the input of each output's largest weight: a PNG of 800x420.

    Columns are outputs, as in x W. The colour scale is symmetric about 0 and spans at least -1 to 1, so that an
    identity looks the same in every run. In the second panel, an identity has all its dots on the diagonal.
    """
    figure = _figure(8.0, 4.2)
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
    return _png(figure)


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


def _draw_panel(
    axis: "Axes", curves: Series, references: Mapping[str, float], top: float | None, *, narrow: bool
) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    others = iter(_OTHER_COLOURS * (1 + len(curves)))
    for name, (epochs, values) in curves.items():
        marker = "o" if len(epochs) <= 30 else None
        axis.plot(epochs, values, label=name, color=_COLOURS.get(name) or next(others), marker=marker, markersize=3)
    for (label, value), style in zip(references.items(), ("--", ":", "-.", "--", ":", "-."), strict=False):
        if math.isfinite(value):
            axis.axhline(value, color="0.35", linestyle=style, linewidth=1.2, label=f"{label} {value:.3g}")
    heights = [height for _, values in curves.values() for height in values if math.isfinite(height)]
    heights += [value for value in references.values() if math.isfinite(value)]
    axis.set_yscale("log", nonpositive="clip")
    axis.set_ylim(*_range(heights, top))
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_major_locator(MaxNLocator(4 if narrow else 9, integer=True))
    axis.set_xlabel("epoch")
    axis.grid(alpha=0.3)
    if heights:
        axis.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=1 if narrow else 2, fontsize=8, frameon=False
        )  # above the axes, so that it covers no curve


def _range(heights: Sequence[float], top: float | None) -> tuple[float, float]:
    """Return the two decades below `top`, by default the next power of ten, extended by decades to cover `heights`."""
    positive = [height for height in heights if height > 0] or [1.0]
    if top is None or top <= 0:
        top = 10.0 ** math.ceil(math.log10(max(positive)))
    high = top * 10.0 ** max(0, math.ceil(math.log10(max(positive) / top / _ABOVE)))
    low = min(max(min(positive), high / 10.0**_MOST_DECADES), high)
    n_decades = max(_DECADES, math.ceil(math.log10(top / low)))
    return top / 10.0**n_decades, _ABOVE * high


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _png(figure: "Figure") -> bytes:
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()
