"""What mattered: the importance of each setting, and the objective over the two most important ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.analysis.effects import Effects, effects
from sweeps.analysis.importance import Importance
from sweeps.analysis.report.source import ReportSource, finite
from sweeps.analysis.report.trial_table import settings_axes

_ROW_PIXELS, _FRAME_PIXELS = 44, 90
_METHODS = [
    {"key": "fanova", "name": "fANOVA: share of the variance over all trials"},
    {"key": "ped", "name": "PED-ANOVA: share in what sets the best trials apart"},
]


def settings_section(source: ReportSource, measured: Sequence[Importance]) -> dict[str, Any]:
    """Return the section's sentences, and the charts of importance and of the surface, None where there is none.

    `measured` holds the importance of the settings for each objective.
    """
    if not source.result.ranking:
        return _section(["No trial is ranked yet."], None, None, {})
    names = {axis["path"]: axis["name"] for axis in settings_axes(source.result)}
    first, *others = measured
    found = effects(source.result, importance=first)
    lines = [first.sentence, *(f"For {other.metric}: {other.sentence}" for other in others)]
    if first.constant:
        lines.append(f"Searched, but the same in every ranked trial: {', '.join(first.constant)}.")
    if found.surface is None and found.why_no_surface and first.too_few is None:
        lines.append(f"There is no map of two settings: {found.why_no_surface}.")
    return _section(lines, first, found, names)


def _section(
    lines: list[str], importance: Importance | None, found: Effects | None, names: Mapping[str, str]
) -> dict[str, Any]:
    has_numbers = importance is not None and importance.too_few is None
    surface = None if found is None else found.surface
    return {
        "mattered": lines,
        "importance_height": _FRAME_PIXELS + _ROW_PIXELS * (len(importance.settings) if importance else 0),
        "importance_note": _importance_note(importance) if importance is not None and has_numbers else "",
        "slices_note": "",
        "contour_title": "" if surface is None else f"{surface.metric} over {names[surface.x]} and {names[surface.y]}",
        "contour_note": ""
        if surface is None
        else f"As a Gaussian process predicts it, other settings at their mean. It explains {surface.skill:.0%} of the "
        "differences between trials that it has not seen (leave-one-out R²).",
        "charts": {
            "importance": _importance_chart(importance, names) if importance is not None and has_numbers else None,
            "contour": None if found is None else _contour_chart(found, names),
        },
    }


def _importance_note(importance: Importance) -> str:
    return (
        f"fANOVA: mean over {importance.n_seeds} forests, the line is one standard deviation each way. "
        "Settings without a significant effect are pale."
    )


def _importance_chart(importance: Importance, names: Mapping[str, str]) -> dict[str, Any]:
    settings = [
        {
            "name": names[setting.path],
            "matters": setting.matters,
            "fanova": {"value": finite(setting.fanova), "error": finite(setting.fanova_std)},
            "ped": {"value": finite(setting.ped_anova), "error": None},
        }
        for setting in importance.settings
    ]
    return {"methods": _METHODS, "settings": settings}


def _contour_chart(found: Effects, names: Mapping[str, str]) -> dict[str, Any] | None:
    surface = found.surface
    if surface is None:
        return None
    flat = [value for row in surface.predicted for value in row]
    cells = [
        [column, row, float(f"{value:.5g}")]
        for row, values in enumerate(surface.predicted)
        for column, value in enumerate(values)
    ]
    return {
        "names": [names[surface.x], names[surface.y]],
        "x": list(surface.x_values),
        "y": list(surface.y_values),
        "cells": cells,
        "low": min(flat),
        "high": max(flat),
    }
