"""What the sweep cost, how it converged, and what to try next."""

from collections.abc import Mapping
from typing import Any

from sweeps.analysis.convergence import convergence
from sweeps.analysis.cost import Cost, cost
from sweeps.analysis.importance import Importance
from sweeps.analysis.report.source import ReportSource, finite
from sweeps.analysis.suggestion import SettingAdvice, Suggestion, suggest_next
from sweeps.tracking.short_text import duration, number

_MIN_TRIALS = 3


def cost_section(source: ReportSource, importance: Importance) -> dict[str, Any]:
    """Return the section's sentences, the chart of convergence, and the suggested next sweep."""
    suggestion = suggest_next(source.result, importance)
    return {
        "cost": _sentences(cost(source.result), source.result.quoted_seconds),
        "convergence_note": "The line of random search is its mean over all orders of the same trials; the band holds "
        "90 % of the orders.",
        "next": _advice(suggestion),
        "next_file": suggestion.yaml or "",
        "charts": {"convergence": _convergence_chart(source)},
    }


def _advice(suggestion: Suggestion) -> list[str]:
    if suggestion.why_none is not None:
        return [f"There is none: {suggestion.why_none.rstrip('.')}."]
    return [
        f"`{setting.path}`: {_change(setting)}, because {setting.reason.rstrip('.')}."
        for setting in suggestion.settings
    ]


def _change(setting: SettingAdvice) -> str:
    if setting.action == "keep":
        return "keep"
    if setting.action == "drop":
        return f"drop `{_range(setting.before)}` and set it to `{_range(setting.after)}`"
    return f"{setting.action} `{_range(setting.before)}` to `{_range(setting.after)}`"


def _range(values: Any) -> str:
    """Return a range as a sweep file writes it, or the value that a setting stays at, with numbers in four digits."""
    if isinstance(values, Mapping):
        return ", ".join(f"{kind}: [{', '.join(map(number, bounds))}]" for kind, bounds in values.items())
    return number(values)


def _sentences(spent: Cost, quoted_seconds: float | None) -> list[str]:
    lines = []
    if spent.wall_seconds is not None:
        startup = (
            "" if spent.startup_seconds is None else f", {duration(spent.startup_seconds)} of it until workers ran"
        )
        quoted = "" if quoted_seconds is None else f" The quote was {duration(quoted_seconds)}."
        lines.append(f"Wall time: {duration(spent.wall_seconds)}{startup}.{quoted}")
    if spent.device_seconds is None:
        lines.append(
            f"At least one trial trained for {duration(spent.busy_seconds)}. Trials of a pack train at the same time: "
            f"one by one they would count {duration(spent.trial_seconds)}."
        )
    else:
        lines.append(f"Device time of all trials (GPUs, or CPU cores without one): {duration(spent.device_seconds)}.")
    saved = f" Early stopping saved {spent.saved_epochs:,}." if spent.saved_epochs else ""
    lines.append(
        f"Epochs trained: {spent.epochs:,} of {spent.planned_epochs:,} planned for the trials that ended.{saved}"
    )
    return lines


def _convergence_chart(source: ReportSource) -> dict[str, Any] | None:
    if len(source.result.ranking) < _MIN_TRIALS:
        return None
    found = convergence(source.result)
    return {
        "name": "this sweep",
        "trials": list(found.trials),
        "best": [_short(value) for value in found.best_so_far],
        "random": [_short(value) for value in found.expected],
        "low": [_short(value) for value in found.low],
        "high": [_short(value) for value in found.high],
    }


def _short(value: float) -> Any:
    return finite(float(f"{value:.6g}"))
