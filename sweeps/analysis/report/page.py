"""The page: a report's numbers in one HTML file with its charts' library, style and script."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from sweeps.analysis.report.contact_sheet import contact_sheets
from sweeps.analysis.report.curves import learning_curves
from sweeps.analysis.report.images import colour_range, filters_png, palette, reconstructions_png
from sweeps.analysis.report.ranking import best_trial, overview, ranking_rows
from sweeps.analysis.report.sections import sections_of
from sweeps.analysis.report.source import ReportSource, finite
from sweeps.analysis.report.trial_table import COLUMNS, objective_axes, settings_axes, trial_rows

_FOLDER = Path(__file__).parent
LIBRARY = _FOLDER / "echarts" / "echarts.min.js"
_N_BEST_FILTERS = 100


def render_page(source: ReportSource) -> str:
    """Return the report of a sweep as one HTML page; the same sweep gives the same page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    analysis = sections_of(source)
    environment.filters["marked"] = _marked
    template = environment.get_template("page.html.jinja")
    return template.render(
        overview=overview(source),
        settings=settings_axes(source.result),
        objectives=objective_axes(source.result),
        rows=ranking_rows(source),
        best=best_trial(source),
        images=_images_of_best(source),
        sheets=contact_sheets(source),
        palette=palette(),
        analysis=analysis,
        data=embedded_json(page_data(source) | {"analysis": analysis["charts"]}),
        style=(_FOLDER / "page.css").read_text(),
        script=(_FOLDER / "page.js").read_text(),
        library=LIBRARY.read_text(),
    )


def page_data(source: ReportSource) -> dict[str, Any]:
    """Return what the charts are drawn from, as plain values without NaN."""
    settings, objectives = settings_axes(source.result), objective_axes(source.result)
    return {
        "settings": settings,
        "objectives": objectives,
        "columns": [*COLUMNS, *(axis["path"] for axis in settings), *(axis["path"] for axis in objectives)],
        "rows": trial_rows(source),
        "curves": learning_curves(source),
    }


def embedded_json(plain: Mapping[str, Any]) -> str:
    """Return JSON that may stand within a script element: nothing in it ends the element or starts a comment."""
    text = json.dumps(plain, allow_nan=False, separators=(",", ":"), default=finite)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _marked(text: str) -> Markup:
    """Return a sentence as HTML, with what stands between backticks as code."""
    pieces = [escape(piece) for piece in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(pieces))


def _images_of_best(source: ReportSource) -> dict[str, str | None]:
    best = source.result.best
    arrays = {} if best is None else source.arrays(best)
    largest = colour_range([arrays["filters"]] if "filters" in arrays else [])
    return {
        "filters": filters_png(arrays, largest, _N_BEST_FILTERS),
        "largest": f"{largest:.2g}",
        "reconstructions": reconstructions_png(arrays),
    }
