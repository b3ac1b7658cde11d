"""The learning curves of a trial: its objective first, with the best epoch marked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from textwrap import fill
from typing import TYPE_CHECKING

from sweeps.models.figures.axis_range import AxisRange, axis_range
from sweeps.models.figures.matplotlib_png import as_png, new_figure
from sweeps.models.metric_table import TRIAL_METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Series = Mapping[str, tuple[Sequence[int], Sequence[float]]]

_COLOURS = {
    "valid/mse": "tab:blue",
    "valid/denoise_mse": "tab:orange",
    "valid/classification_error": "tab:red",
    "valid/probe_error": "tab:red",
    "train/loss": "tab:green",
    "pretrain/loss": "tab:olive",
}
_OTHER_COLOUR = "tab:purple"
_MOST_MARKERS = 30
_BESIDE_THE_FIRST = 2  # as many panels fit beside the first; more form a grid of two columns
_WIDE, _NARROW = 3, 2  # relative widths of the first panel and those beside it
_WIDTH, _HEIGHT, _ROW_HEIGHT = 8.0, 5.0, 2.8  # inches
_TITLE_CHARACTERS = 95
_FLOORS = {"valid/r2": -1.0}  # far below it, an early epoch would flatten all that follow


@dataclass(frozen=True)
class RankedEpoch:
    """The metrics that rank a trial, and the epoch at which they do, if there is one; `name` says which one that is."""

    objectives: Sequence[str] = ()
    epoch: int | None = None
    name: str = "best epoch"


@dataclass(frozen=True)
class LearningCurves:
    """What a figure of learning curves shows.

    `series` maps a metric to its epochs and values, `references` a label (the mean predictor, PCA) to an error. `title`
    is the run's name.
    """

    series: Series
    references: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    ranked: RankedEpoch = field(default_factory=RankedEpoch)


def draw_learning_curves(curves: LearningCurves) -> bytes:
    """Draw learning curves as a PNG of 800x500, higher for four panels or more: one for each unit, objectives first.

    Axes end where the curves do, and are logarithmic where these span a decade. A reference is a line among the errors
    if it leaves them enough of the axis; if not, the legend states it. The best epoch is a line in all panels, and a
    ring on the objective.
    """
    panels = _panels(curves)
    is_grid = len(panels) > 1 + _BESIDE_THE_FIRST
    figure = new_figure(_WIDTH, _ROW_HEIGHT * math.ceil(len(panels) / 2) if is_grid else _HEIGHT)
    figure.suptitle(fill(curves.title, _TITLE_CHARACTERS), fontsize=11)
    axes = _axes(figure, max(1, len(panels)))
    for axis, metrics in zip(axes, panels or [[]], strict=True):
        _draw_panel(axis, curves, metrics, is_wide=axis is axes[0] and not is_grid)
    return as_png(figure)


def _panels(curves: LearningCurves) -> list[list[str]]:
    """Return the metrics of each panel."""
    measured = [name for name, (_, values) in curves.series.items() if any(map(math.isfinite, values))]
    order = [name for name in (*curves.ranked.objectives, *TRIAL_METRICS, *measured) if name in measured]
    panels: dict[str, list[str]] = {}
    for name in dict.fromkeys(order):
        panels.setdefault(_unit(name), []).append(name)
    return list(panels.values())


def _unit(metric: str) -> str:
    return TRIAL_METRICS[metric].unit if metric in TRIAL_METRICS else metric


def _axes(figure: "Figure", n_panels: int) -> list["Axes"]:
    """Return axes for the panels: the first large, with up to two beside it; or a grid of two columns."""
    if n_panels > 1 + _BESIDE_THE_FIRST:
        return [figure.add_subplot(math.ceil(n_panels / 2), 2, index) for index in range(1, n_panels + 1)]
    if n_panels == 1:
        return [figure.add_subplot()]
    grid = figure.add_gridspec(n_panels - 1, 2, width_ratios=[_WIDE, _NARROW])
    return [figure.add_subplot(grid[:, 0]), *(figure.add_subplot(grid[row, 1]) for row in range(n_panels - 1))]


def _draw_panel(axis: "Axes", curves: LearningCurves, metrics: Sequence[str], *, is_wide: bool) -> None:
    if not metrics:
        axis.text(0.5, 0.5, "No epoch was measured.", ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    _draw_curves(axis, curves, metrics)
    values = [value for name in metrics for value in curves.series[name][1]]
    references = curves.references if "valid/mse" in metrics else {}
    span = axis_range(values, list(references.values()), floor=_FLOORS.get(metrics[0], -math.inf))
    _draw_references(axis, references, span)
    _scale(axis, span, [epoch for name in metrics for epoch in curves.series[name][0]], 8 if is_wide else 5)
    axis.set_xlabel("epoch")
    axis.set_ylabel(_unit(metrics[0]), fontsize=9)
    axis.grid(alpha=0.3)
    # Above the axes, so that it covers no curve.
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=8, frameon=False)


def _draw_curves(axis: "Axes", curves: LearningCurves, metrics: Sequence[str]) -> None:
    for name in metrics:
        epochs, values = curves.series[name]
        marker = "o" if len(epochs) <= _MOST_MARKERS else None
        colour = _COLOURS.get(name, _OTHER_COLOUR)
        axis.plot(epochs, values, label=name, color=colour, marker=marker, markersize=3)
    _mark_ranked_epoch(axis, curves, metrics)


def _mark_ranked_epoch(axis: "Axes", curves: LearningCurves, metrics: Sequence[str]) -> None:
    ranked, epochs = curves.ranked, [epoch for name in metrics for epoch in curves.series[name][0]]
    if ranked.epoch is None or not min(epochs) <= ranked.epoch <= max(epochs):
        return
    axis.axvline(ranked.epoch, color="0.6", linewidth=1, zorder=0)
    for name in metrics:
        value = dict(zip(*curves.series[name], strict=True)).get(ranked.epoch)
        if name in ranked.objectives and value is not None:
            label = f"{ranked.name} {ranked.epoch}: {value:.4g}"
            axis.plot([ranked.epoch], [value], "o", color="black", fillstyle="none", markersize=9, label=label)


def _draw_references(axis: "Axes", references: Mapping[str, float], span: AxisRange) -> None:
    for (label, value), style in zip(references.items(), cycle(("--", ":", "-."))):
        if not math.isfinite(value):
            continue
        if span.low <= value <= span.high:
            axis.axhline(value, color="0.35", linestyle=style, linewidth=1.2, label=f"{label} {value:.3g}")
        else:
            where = "below" if value < span.low else "above"
            axis.plot([], [], color="none", label=f"{label} {value:.3g} ({where})")


def _scale(axis: "Axes", span: AxisRange, epochs: Sequence[int], n_ticks: int) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    if span.is_log:
        axis.set_yscale("log", nonpositive="clip")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span.n_decades < 3 else (1,)))
        axis.yaxis.set_minor_locator(NullLocator())
    axis.set_ylim(span.low, span.high)
    axis.yaxis.set_major_formatter("{x:g}")
    if min(epochs) == max(epochs):
        axis.set_xlim(min(epochs) - 1, max(epochs) + 1)
    axis.xaxis.set_major_locator(MaxNLocator(n_ticks, integer=True))
