"""Links to a sweep's trials in the MLflow UI: the runs table and the chart view, sorted, with useful columns.

Columns do not fit in a link: the UI reads them, the filter and the sort order from a tag of the experiment, as it does
for links that its own "Share" button makes. `VIEW_TAG` of the parent run says that the experiment has this tag.
"""

import json
from typing import Any
from urllib.parse import urlencode

from sweeps.config import SweepConfig
from sweeps.config.search_space import corner_points
from sweeps.models.figures.table import figures_from
from sweeps.search.stopping import STOPPED_BY
from sweeps.tracking.mlflow.run_metadata import (
    BEST_EPOCH_TAG,
    BEST_PREFIX,
    DIAGNOSIS_TAG,
    EPOCHS_TAG,
    POINT_TAG,
    RANK_TAG,
    SWEEP_TAG,
)
from sweeps.tracking.mlflow.uri import experiment_link, without_credentials

# The tag of a parent run: the key of the view that links to the sweep name.
VIEW_TAG = "sweeps.view"
SHARED_VIEW_TAG = "mlflow.sharedViewState."
# The best trials: charts of all trials of a large sweep cannot be read.
_SHOWN_IN_CHARTS = "FIRST_20_RUNS"
_SECTION = "Sweep"
_CHARTS_IN_A_ROW = 2  # of three, MLflow cuts the titles
# What the UI expects of a line chart; other charts ignore it.
_LINE = {
    "lineSmoothness": 0,
    "scaleType": "linear",
    "xAxisScaleType": "linear",
    "xAxisKey": "step",
    "selectedXAxisMetricKey": "",
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "range": {},
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}
# The figures of `models.figures.table` that are drawn for each snapshot: MLflow's image grid shows them.
_IMAGES = tuple(figure.kind for figure in figures_from("snapshot"))
_COLUMN_WIDTH = 180
# Wide enough for a run's name: else the UI shows its first 19 characters.
_NAME_COLUMN, _NAME_WIDTH = "attributes.`Run Name`", 340
_ALSO_SHOWN = ("valid/mse", "valid/mse_over_pca")
_SHOWN_TAGS = (RANK_TAG, BEST_EPOCH_TAG, EPOCHS_TAG, STOPPED_BY, DIAGNOSIS_TAG)


def view_state(config: SweepConfig, sweep_id: str, *, is_ranked: bool) -> str:
    """Return the value of the experiment's tag: which runs the UI shows, in which order, with which columns.

    If the trials `is_ranked`, they are sorted by rank, which also orders ties as `sweeps best` does.
    """
    objectives = [str(objective.metric) for objective in config.objectives]
    metrics = [BEST_PREFIX + name for name in dict.fromkeys([*objectives, *_ALSO_SHOWN])]
    columns = [f"metrics.`{name}`" for name in metrics]
    columns += [f"params.`{path}`" for path in config.search]
    columns += [f"tags.`{name}`" for name in _SHOWN_TAGS]
    facets = _facets(config, sweep_id)
    if is_ranked:
        facets |= {"orderByKey": f"tags.`{RANK_TAG}`", "orderByAsc": True}
    state: dict[str, Any] = facets | {
        "selectedColumns": columns,
        "columnOrder": [_NAME_COLUMN, "runDateAndNestInfo", *columns],
        "columnWidths": {_NAME_COLUMN: _NAME_WIDTH} | dict.fromkeys(columns, _COLUMN_WIDTH),
        "runsHiddenMode": _SHOWN_IN_CHARTS,
        "compareRunSections": [
            {"uuid": _SECTION, "name": _SECTION, "display": True, "isReordered": True, "columns": _CHARTS_IN_A_ROW}
        ],
        "isAccordionReordered": True,  # else the UI sorts sections by name, and puts this one below its own
        "compareRunCharts": _charts(objectives, config),
    }
    return json.dumps(state)


def _charts(objectives: list[str], config: SweepConfig) -> list[dict[str, Any]]:
    """Return the charts that come first: curves over epochs, searched settings against the best objective, images."""
    curves = dict.fromkeys([*objectives, "valid/mse", "train/loss"])
    cards: list[dict[str, Any]] = [
        {"type": "LINE", "metricKey": name, "selectedMetricKeys": [name], "displayName": name} for name in curves
    ]
    if config.search:
        against = {
            "selectedParams": list(config.search),
            "selectedMetrics": [BEST_PREFIX + name for name in objectives],
        }
        cards.insert(1, {"type": "PARALLEL", "showAllRuns": True, **against})
    last_epoch = min(map(config.epochs_at, corner_points(config.search)))
    cards += [
        {"type": "IMAGE", "imageKeys": [key], "displayName": key, "step": last_epoch, "showRunParams": False}
        for key in _IMAGES
    ]
    common = {"metricSectionId": _SECTION, "deleted": False, "isGenerated": False, "runsCountToCompare": 100}
    return [common | _LINE | card | {"uuid": f"sweep-{index}"} for index, card in enumerate(cards)]


def sweep_links(address: str, experiment_id: str, config: SweepConfig, sweep_id: str, view: str | None) -> list[str]:
    """Return the addresses of a sweep's runs table and of its charts on the MLflow server at `address`.

    `view` is the key of its view; without one, for sweeps of earlier versions, the links filter and sort only.
    """
    query: dict[str, str | bool] = {"viewStateShareKey": view} if view else _facets(config, sweep_id, prefix="")
    words = urlencode({key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()})
    table = f"{experiment_link(address, experiment_id)}&{words}"
    return [table, f"{table}&compareRunsMode=CHART"]


def where_to_look(uri: str, experiment_id: str | None, config: SweepConfig, sweep_id: str, view: str | None) -> str:
    """Return where the runs of a sweep are shown: pages of the tracking server, or the command for a local store."""
    if not uri.startswith("http"):
        return f"`sweeps ui {sweep_id}` shows the runs in the MLflow UI"
    if experiment_id is None:
        return ""
    return with_names(sweep_links(without_credentials(uri), experiment_id, config, sweep_id, view))


def with_names(links: list[str]) -> str:
    """Return the links of `sweep_links`, one a line, each with what it shows."""
    return "\n".join(f"MLflow {name}: {link}" for name, link in zip(("runs", "charts"), links, strict=True))


def _facets(config: SweepConfig, sweep_id: str, prefix: str = BEST_PREFIX) -> dict[str, str | bool]:
    objective = config.objectives[0]
    return {
        "searchFilter": f"tags.`{SWEEP_TAG}` = '{sweep_id}' AND tags.`{POINT_TAG}` LIKE '%'",
        "orderByKey": f"metrics.`{prefix}{objective.metric}`",
        "orderByAsc": objective.direction == "minimize",
        "startTime": "ALL",
    }
