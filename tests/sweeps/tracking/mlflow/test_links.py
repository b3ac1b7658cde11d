"""Links to a sweep's runs in the MLflow UI."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sweeps.config import SweepConfig
from sweeps.tracking.mlflow.links import sweep_links, view_state, where_to_look

SEARCH: dict[str, Any] = {"search": {"model.hidden_size": {"choice": [8, 16]}}, "budget": {"trials": 2}}
MakeSweep = Callable[..., SweepConfig]


def query_of(link: str) -> dict[str, str]:
    return {key: value for key, (value,) in parse_qs(urlsplit(link).fragment.partition("?")[2]).items()}


def test_the_view_has_the_trials_best_first_and_the_objective_as_first_column(small_sweep: MakeSweep) -> None:
    state = json.loads(view_state(small_sweep(**SEARCH, objective={"metric": "valid/r2"}), "small-1", is_ranked=False))
    assert state["searchFilter"] == "tags.`sweeps.sweep` = 'small-1' AND tags.`sweeps.trial` LIKE '%'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best/valid/r2`", False)
    columns = state["selectedColumns"]
    assert columns[:2] == ["metrics.`best/valid/r2`", "metrics.`best/valid/mse`"]
    assert "params.`model.hidden_size`" in columns
    assert state["columnOrder"][-len(columns) :] == columns
    assert state["columnWidths"]["attributes.`Run Name`"] > state["columnWidths"][columns[0]]


def test_the_charts_end_with_the_images_of_the_last_epoch(small_sweep: MakeSweep) -> None:
    config = small_sweep(**SEARCH)
    charts = json.loads(view_state(config, "small-1", is_ranked=False))["compareRunCharts"]
    images = [chart for chart in charts if chart["type"] == "IMAGE"]
    assert charts[-2:] == images
    assert [chart["imageKeys"] for chart in images] == [["filters"], ["reconstructions"]]
    assert {(chart["step"], chart["showRunParams"]) for chart in images} == {(config.training.epochs, False)}


def test_ranked_trials_are_sorted_by_rank_which_orders_ties_too(small_sweep: MakeSweep) -> None:
    state = json.loads(view_state(small_sweep(**SEARCH, objective={"metric": "valid/r2"}), "small-1", is_ranked=True))
    assert (state["orderByKey"], state["orderByAsc"]) == ("tags.`sweeps.rank`", True)


def test_each_column_is_shown_once(small_sweep: MakeSweep) -> None:
    objectives = [{"metric": "valid/mse"}, {"metric": "valid/r2"}]
    columns = json.loads(view_state(small_sweep(**SEARCH, objective=objectives), "small-1", is_ranked=False))[
        "selectedColumns"
    ]
    assert len(columns) == len(set(columns))


def test_links_name_the_view_for_table_and_charts(small_sweep: MakeSweep) -> None:
    runs, charts = sweep_links("http://me:hunter2@tracker:5000/", "3", small_sweep(), "small-1", "small-1")
    assert runs.startswith("http://tracker:5000/#/experiments/3/runs?")
    assert query_of(runs) == {"workflowType": "machine_learning", "viewStateShareKey": "small-1"}
    assert query_of(charts) == query_of(runs) | {"compareRunsMode": "CHART"}


def test_links_to_sweeps_of_earlier_versions_filter_and_sort(small_sweep: MakeSweep) -> None:
    runs, _ = sweep_links("http://tracker:5000", "3", small_sweep(), "small-1", None)
    assert query_of(runs) == {
        "workflowType": "machine_learning",
        "searchFilter": "tags.`sweeps.sweep` = 'small-1' AND tags.`sweeps.trial` LIKE '%'",
        "orderByKey": "metrics.`valid/mse`",  # they have no best/
        "orderByAsc": "true",
        "startTime": "ALL",
    }


def test_where_to_look_is_a_command_for_a_local_store_and_pages_for_a_server(small_sweep: MakeSweep) -> None:
    config = small_sweep()
    assert where_to_look("sqlite:////s.db", "3", config, "small-1", None).startswith("`sweeps ui small-1`")
    assert where_to_look("http://tracker", None, config, "small-1", None) == ""
    runs, charts = where_to_look("http://tracker", "3", config, "small-1", "small-1").splitlines()
    assert runs.startswith("MLflow runs: http://tracker/#/")
    assert charts.startswith("MLflow charts: http://tracker/#/")
