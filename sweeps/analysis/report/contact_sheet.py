"""The contact sheet: first-layer filters over two settings, the best trial of each bin, in one colour scale."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sweeps.analysis.report.images import colour_range, filters_png
from sweeps.analysis.report.source import ReportSource
from sweeps.analysis.report.trial_table import setting_text, settings_axes
from sweeps.tracking.results import RankedTrial

# The settings most asked for: names that a path may end with, for columns and rows.
_NOISE, _SIZE = ("noise.level",), ("hidden_size", "hidden_sizes", "code_size")
_PENALTY = ("hidden_l1", "weight_l1", "contraction", "kl_sparsity", "weight_decay")
_PAIRS = ((_NOISE, _SIZE), (_NOISE, _PENALTY), (_PENALTY, _SIZE))
N_BINS = 5
N_FILTERS = 16
MOST_SHEETS = 2


Axis = Mapping[str, Any]
Bin = tuple[int, int]


def contact_sheets(source: ReportSource) -> list[dict[str, Any]]:
    """Return at most two sheets, each with its columns, rows and cells; none without filters or ranked trials."""
    pairs = _pairs(settings_axes(source.result))
    grids = [best_of_bins(source.result.ranking, *pair) for pair in pairs]
    shown = {trial.trial: trial for grid in grids for trial in grid.values()}
    arrays = {name: found for name, trial in shown.items() if "filters" in (found := source.arrays(trial))}
    largest = colour_range([found["filters"][:N_FILTERS] for found in arrays.values()])
    images = {name: filters_png(found, largest, N_FILTERS) for name, found in arrays.items()}
    objective = source.result.objective_metrics[0]
    sheets = [_sheet(pair, grid, images, objective) for pair, grid in zip(pairs, grids, strict=True)]
    return [sheet | {"largest": largest} for sheet in sheets if images]


def best_of_bins(ranking: Sequence[RankedTrial], across: Axis, down: Axis | None) -> dict[Bin, RankedTrial]:
    """Return the best-ranked trial of each bin, by its column and row."""
    best: dict[Bin, RankedTrial] = {}
    for trial in ranking:
        column = bin_of(across, trial.point.get(across["path"]))
        row = 0 if down is None else bin_of(down, trial.point.get(down["path"]))
        if column is not None and row is not None:
            best.setdefault((column, row), trial)
    return best


def bin_of(axis: Axis, value: Any) -> int | None:
    """Return the bin of a value: of equal width on a numeric axis, else one for each category."""
    if value is None:
        return None
    if axis["kind"] == "category":
        found: int = axis["values"].index(setting_text(value))
        return found
    low, high, at = (_scaled(axis, bound) for bound in (axis["low"], axis["high"], value))
    return 0 if low == high else max(0, min(N_BINS - 1, int((at - low) / (high - low) * N_BINS)))


def labels(axis: Axis) -> list[str]:
    """Return the label of each bin: a category, or the bounds of an interval."""
    if axis["kind"] == "category":
        return list(axis["values"])
    low, high = _scaled(axis, axis["low"]), _scaled(axis, axis["high"])
    bounds = [_unscaled(axis, low + (high - low) * step / N_BINS) for step in range(N_BINS + 1)]
    return [f"{first:.2g} to {last:.2g}" for first, last in pairwise(bounds)]


def _pairs(axes: Sequence[Axis]) -> list[tuple[Axis, Axis | None]]:
    found: list[tuple[Axis, Axis | None]] = []
    for columns, rows in _PAIRS:
        across, down = _first(axes, columns), _first(axes, rows)
        if across is not None and down is not None:
            found.append((across, down))
    if not found and axes:
        found.append((axes[0], axes[1] if len(axes) > 1 else None))
    return found[:MOST_SHEETS]


def _first(axes: Sequence[Axis], endings: Sequence[str]) -> Axis | None:
    return next((axis for ending in endings for axis in axes if axis["path"].endswith(f".{ending}")), None)


def _sheet(
    pair: tuple[Axis, Axis | None],
    best: Mapping[Bin, RankedTrial],
    images: Mapping[str, str | None],
    objective: str,
) -> dict[str, Any]:
    across, down = pair
    columns, rows = labels(across), [""] if down is None else labels(down)
    grid = [
        {
            "label": rows[row],
            "cells": [_cell(best.get((column, row)), images, objective) for column in range(len(columns))],
        }
        for row in reversed(range(len(rows)))
    ]
    return {
        "across": across["name"],
        "down": "" if down is None else down["name"],
        "columns": columns,
        "rows": grid,
    }


def _cell(trial: RankedTrial | None, images: Mapping[str, str | None], objective: str) -> dict[str, Any] | None:
    if trial is None:
        return None
    return {"trial": trial.trial, "value": setting_text(trial.metrics[objective]), "image": images.get(trial.trial)}


def _scaled(axis: Axis, value: float) -> float:
    return math.log(value) if axis["kind"] == "log" else value


def _unscaled(axis: Axis, value: float) -> float:
    return math.exp(value) if axis["kind"] == "log" else value
