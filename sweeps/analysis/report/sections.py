"""What the analysis of a sweep says in each section: sentences and tables, and numbers for charts."""

from typing import Any

from threadpoolctl import threadpool_limits

from sweeps.analysis.best_settings import best_settings
from sweeps.analysis.report.cost_section import cost_section
from sweeps.analysis.report.failures_section import failures_section
from sweeps.analysis.report.ranking import verdict
from sweeps.analysis.report.settings_section import settings_section
from sweeps.analysis.report.source import ReportSource


def sections_of(source: ReportSource) -> dict[str, Any]:
    """Return the sentences and tables of the sections, and under `charts` what their charts are drawn from."""
    with threadpool_limits(1):  # small matrices; and the trials of a running sweep need the cores
        found = source.importances
        parts = [settings_section(source, found), failures_section(source), cost_section(source, found[0])]
    merged: dict[str, Any] = {"won": verdict(source), "best_file": best_settings(source.result) or ""}
    for part in parts:
        merged |= {name: value for name, value in part.items() if name != "charts"}
    return merged | {"charts": {name: chart for part in parts for name, chart in part.get("charts", {}).items()}}
