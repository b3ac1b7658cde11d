"""What a person sees of a sweep beside its numbers."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sweeps.cli.display import sweep
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.results import SweepResult

Write = Callable[..., SweepResult]


def mse(*values: float) -> list[dict[str, float]]:
    return [{"valid/mse": value} for value in values]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    return lambda: capsys.readouterr().out


def test_a_ranking_that_is_cut_says_how_to_see_the_rest(write_result: Write, shown: Callable[[], str]) -> None:
    result = write_result({f"{index:04}": mse(index) for index in range(7)})
    sweep.print_ranking(result, top=5)
    assert "and 2 more: `sweeps best small-1 --top 7`" in shown()
    sweep.print_ranking(result, top=7)
    assert "more" not in shown()


@pytest.mark.parametrize("show", [sweep.print_summary, lambda result: sweep.print_ranking(result, top=5)])
def test_failed_trials_are_not_passed_over(
    write_result: Write, shown: Callable[[], str], show: Callable[[SweepResult], None]
) -> None:
    show(write_result({"a": mse(1), "b": mse(2)}, states={"b": PointState.FAILED}))
    assert "1 failed: `sweeps status small-1` shows which, and why" in shown()
    show(write_result({"a": mse(1)}))
    assert "`sweeps status" not in shown()


def test_status_of_a_running_sweep_shows_the_best_running_trial(write_result: Write, shown: Callable[[], str]) -> None:
    running = {"a": PointState.RUNNING, "b": PointState.RUNNING}
    sweep.print_status(write_result({"a": mse(3, 2), "b": mse(0.125)}, states=running, state=None))
    printed = shown()
    assert "2 running" in printed
    assert "best running trial:" in printed
    assert "0.125" in printed
    assert "sweeps sync" not in printed  # the sweep itself delivers


def test_a_ranking_ends_with_the_links_where_the_runs_are_on_a_server(
    write_result: Write, shown: Callable[[], str]
) -> None:
    result = write_result({"a": mse(1)})
    sweep.print_ranking(result, top=5)
    assert "MLflow" not in shown()  # `best` is not followed by a hint on a local store
    record = replace(result.record, experiment_id="3")
    sweep.print_ranking(replace(result, store="http://tracker:5000", record=record), top=5)
    runs, charts = shown().splitlines()[-2:]
    assert runs.startswith("MLflow runs: http://tracker:5000/#/experiments/3/runs?")
    assert charts.startswith("MLflow charts: http://tracker:5000/#/experiments/3/runs?")


def test_the_mark_of_a_front_is_explained(write_result: Write, shown: Callable[[], str]) -> None:
    objectives = [{"metric": "valid/mse"}, {"metric": "valid/r2", "direction": "maximize"}]
    result = write_result({"a": [{"valid/mse": 1.0, "valid/r2": 0.5}]}, objective=objectives)
    sweep.print_ranking(result, top=5)
    assert "* on the Pareto front" in shown()


def test_a_ranking_says_how_long_each_trial_trained_and_what_stopped_it(
    write_result: Write, shown: Callable[[], str]
) -> None:
    sweep.print_ranking(write_result({"a": mse(1, 2, 3)}), top=5)
    heading, row = (line.split() for line in shown().splitlines()[:2])
    assert heading[-4:] == ["epoch", "valid/mse", "stopped", "by"]
    assert row[-4:] == ["1/3", "1", "all", "epochs"]


def test_a_table_in_a_file_is_not_cut_at_the_width_of_a_terminal(
    write_result: Write, shown: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    objectives = [
        {"metric": f"valid/{name}"} for name in ("mse_over_pca", "denoise_mse", "code_sparsity", "dead_units")
    ]
    metrics = {f"{objective['metric']}": 1 / 3 for objective in objectives}
    noisy = {"model": {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.1}}}
    result = write_result({"a": [metrics]}, objective=objectives, **noisy)
    sweep.print_ranking(result, top=5)
    whole = shown().splitlines()[0]
    assert len(whole.rstrip()) > 80
    monkeypatch.setenv("COLUMNS", "80")
    sweep.print_ranking(result, top=5)
    assert len(shown().splitlines()[0]) <= 80
