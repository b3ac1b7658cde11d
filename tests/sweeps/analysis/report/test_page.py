"""The report of a planted sweep: each chart's numbers against pandas, what the page holds, and what it must not."""

import hashlib
import html
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from planted_sweep import plant, planted_config

from sweeps.analysis.report.contact_sheet import N_BINS, contact_sheets
from sweeps.analysis.report.curves import MOST_POINTS, curve
from sweeps.analysis.report.images import colour_range
from sweeps.analysis.report.page import LIBRARY, embedded_json, page_data, render_page
from sweeps.analysis.report.sections import sections_of
from sweeps.analysis.report.source import ReportSource, read_source
from sweeps.analysis.report.worker import answer
from sweeps.analysis.report.write import write_report
from sweeps.config import SweepConfig
from sweeps.storage.layout import SweepFolder

HOSTILE = "</script><img src=x onerror=alert(1)> & <b>'bold'</b>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SweepFolder]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPS_HOME", str(tmp_path_factory.mktemp("planted")))
        yield plant(planted_config(24, two_objectives=True, description=HOSTILE))


@pytest.fixture(scope="module")
def source(folder: SweepFolder) -> ReportSource:
    return read_source(folder)


@pytest.fixture(scope="module")
def trials(source: ReportSource) -> pd.DataFrame:
    return source.result.trials()


@pytest.fixture(scope="module")
def rows(source: ReportSource) -> pd.DataFrame:
    """The rows that all charts over trials are drawn from."""
    data = page_data(source)
    return pd.DataFrame(data["rows"], columns=data["columns"]).set_index("trial")


def test_rows_are_those_of_the_data_frame(source: ReportSource, rows: pd.DataFrame, trials: pd.DataFrame) -> None:
    assert list(rows.index) == list(trials.index)
    assert rows["rank"].dropna().astype(int).tolist() == trials["rank"].dropna().astype(int).tolist()
    for column in ("valid/mse", "valid/code_sparsity", "model.hidden_l1", "model.noise.level", "seconds"):
        np.testing.assert_allclose(rows[column].astype(float), trials[column], rtol=1e-5)
    for column in ("epoch", "epochs"):
        assert rows[column].dropna().astype(int).tolist() == trials[column].dropna().astype(int).tolist()
    assert rows["findings"].map("; ".join).tolist() == trials["findings"].tolist()
    axes = {axis["path"]: axis for axis in page_data(source)["settings"]}
    for path in ("model.hidden_size", "model.activation"):
        shown = [axes[path]["values"][index] for index in rows[path]]
        assert shown == [str(value) for value in trials[path]]
    assert axes["model.hidden_l1"] == {
        "path": "model.hidden_l1", "name": "hidden_l1", "kind": "log", "low": 1e-6, "high": 1e-2
    }  # fmt: skip


def test_front_holds_the_trials_that_no_other_beats_in_both_objectives(
    rows: pd.DataFrame, trials: pd.DataFrame
) -> None:
    ranked = trials.dropna(subset=["rank"])
    errors, sparsities = ranked["valid/mse"], ranked["valid/code_sparsity"]
    for trial in ranked.index:
        at_least = (errors <= errors[trial]) & (sparsities >= sparsities[trial])
        better = (errors < errors[trial]) | (sparsities > sparsities[trial])
        assert rows["front"][trial] == (not (at_least & better).any()), trial


def test_curves_are_those_of_the_history(source: ReportSource) -> None:
    curves = page_data(source)["curves"]
    assert source.result.best is not None
    history = source.result.history(source.result.best.trial).droplevel("trial")
    assert {c["name"] for c in curves["curves"]} == {"train/loss", "valid/mse", "valid/r2", "valid/code_sparsity"}
    for drawn in curves["curves"]:
        expected = history[drawn["name"]].dropna()
        assert [epoch for epoch, _ in drawn["points"]] == expected.index.tolist()
        np.testing.assert_allclose([value for _, value in drawn["points"]], expected, rtol=1e-5)
    assert curves["references"] == {"mean predictor": 0.12, "PCA": 0.015}


def test_a_long_curve_keeps_its_ends_and_extremes() -> None:
    values = np.random.default_rng(0).random(5000)
    points = curve([(epoch, {"a": float(value)}) for epoch, value in enumerate(values)], "a")
    assert len(points) <= MOST_POINTS
    assert (points[0][0], points[-1][0]) == (0, 4999)
    shown = {epoch for epoch, _ in points}
    assert {int(values.argmin()), int(values.argmax())} <= shown


def test_each_cell_of_the_contact_sheet_is_the_best_trial_of_its_bin(
    source: ReportSource, trials: pd.DataFrame
) -> None:
    sheet, penalties = contact_sheets(source)
    assert (sheet["across"], sheet["down"]) == ("noise.level", "hidden_size")
    assert (penalties["across"], penalties["down"]) == ("noise.level", "hidden_l1")
    ranked = trials.dropna(subset=["rank"]).sort_values("rank")
    columns = pd.cut(ranked["model.noise.level"], np.linspace(0, 0.5, N_BINS + 1), labels=False, include_lowest=True)
    best = ranked.assign(column=columns).reset_index().groupby(["column", "model.hidden_size"])["trial"].first()
    shown = {
        (column, int(row["label"])): cell["trial"]
        for row in sheet["rows"]
        for column, cell in enumerate(row["cells"])
        if cell is not None
    }
    assert shown == best.to_dict()
    assert [row["label"] for row in sheet["rows"]] == ["64", "32", "16"]  # upwards, as on an axis
    assert sheet["largest"] == penalties["largest"]  # one colour scale
    assert all(
        cell["image"].startswith("data:image/png;base64,") for row in sheet["rows"] for cell in row["cells"] if cell
    )


def test_text_of_a_sweep_cannot_become_markup(source: ReportSource) -> None:
    page = render_page(source)
    assert HOSTILE not in page
    assert "<img src=x" not in page
    assert html.escape(HOSTILE).replace("&#x27;", "&#39;") in page
    assert page.count("<script") == 3
    hostile = embedded_json({"reason": HOSTILE + "<!--"})
    assert "<" not in hostile
    assert json.loads(hostile) == {"reason": HOSTILE + "<!--"}


def test_the_page_may_request_nothing(source: ReportSource) -> None:
    page = render_page(source)
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    assert f'content="{policy}"' in page
    own = page.replace(LIBRARY.read_text(), "")
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)[^"']*""", own)
    assert not re.findall(r"url\(|@import|fetch\(|XMLHttpRequest", own)


def test_texts_and_tables_need_no_script(source: ReportSource, trials: pd.DataFrame) -> None:
    page = render_page(source)
    shown = re.findall(r'<tr id="trial-(\d+)"', page)
    assert shown == list(trials.index)
    assert "loss is NaN in epoch 1" in page
    assert page.count("data:image/png") >= 3


def test_the_library_is_the_published_file() -> None:
    published = "b66b25aeb4df84e33199dc21694014d336d222cbd9deb0e5a7c14bd6aa0d0fd0"
    assert hashlib.sha256(LIBRARY.read_bytes()).hexdigest() == published
    assert "Apache License" in (LIBRARY.parent / "LICENSE").read_text()
    assert "Apache ECharts" in (LIBRARY.parent / "NOTICE").read_text()


def test_an_unchanged_sweep_has_the_same_report(folder: SweepFolder) -> None:
    first = answer(folder)
    assert first == answer(folder)
    assert first["digest"] == hashlib.sha256((folder.path / "report.html").read_bytes()).hexdigest()


def test_why_there_is_no_report_is_one_line(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("planted\nin two lines")

    monkeypatch.setattr("sweeps.analysis.report.write.render_page", fail)
    assert answer(folder) == {"error": "RuntimeError: planted in two lines"}


@pytest.mark.parametrize(("n_trials", "max_bytes"), [(16, 2e6), pytest.param(1000, 8e6, marks=pytest.mark.slow)])
def test_size_of_the_report(
    n_trials: int, max_bytes: float, tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    planted = plant(planted_config(n_trials))
    began = time.perf_counter()
    report = write_report(planted, tmp_path / "report.html")
    record_property(f"seconds for {n_trials} trials", time.perf_counter() - began)
    assert isinstance(report, Path)
    assert report.stat().st_size < max_bytes


def test_a_sweep_without_a_finished_trial_has_a_report() -> None:
    planted = plant(planted_config(2), n_failed=2)
    page = render_page(read_source(planted))
    assert "No trial is ranked" in page
    assert page.count("loss is NaN") >= 2


@pytest.fixture(scope="module")
def sections(source: ReportSource) -> dict[str, Any]:
    return sections_of(source)


def test_convergence_is_the_running_best_in_the_order_of_the_ends(
    source: ReportSource, sections: dict[str, Any], trials: pd.DataFrame
) -> None:
    chart = sections["charts"]["convergence"]
    ends = pd.Series({point.point_id: point.end_ms for point in source.result.points})
    ranked = trials.dropna(subset=["rank"])
    order = ends[ranked.index].sort_values().index
    assert chart["trials"] == list(order)
    np.testing.assert_allclose(chart["best"], ranked["valid/mse"][order].cummin(), rtol=1e-5)
    assert chart["random"][0] == pytest.approx(ranked["valid/mse"].mean(), rel=1e-5)  # of one trial
    assert chart["random"][-1] == pytest.approx(ranked["valid/mse"].min(), rel=1e-5)  # of all


def test_importance_names_the_setting_that_was_planted(sections: dict[str, Any]) -> None:
    settings = sections["charts"]["importance"]["settings"]
    assert settings[0]["name"] == "hidden_l1"
    assert settings[0]["matters"]
    assert not next(setting for setting in settings if setting["name"] == "activation")["matters"]
    assert "model.hidden_l1" in sections["mattered"][0]


def test_findings_and_failures_are_counted_as_the_data_frame_counts_them(
    sections: dict[str, Any], trials: pd.DataFrame
) -> None:
    collapsed = trials.index[trials["findings"].str.contains("collapsed")]
    finished = (trials["state"] == "FINISHED").sum()
    (row,) = sections["findings_table"]
    assert row["count"] == f"{len(collapsed)} of {finished}"
    assert sections["failed"] == [("0023", "loss is NaN in epoch 1")]
    assert sections["wrong"][0] == "1 of 24 trials failed."


def test_sweep_files_of_the_page_are_valid_and_those_of_the_sweep(
    source: ReportSource, sections: dict[str, Any]
) -> None:
    best = source.result.best
    assert best is not None
    config = SweepConfig.from_dict(yaml.safe_load(sections["best_file"]))
    assert config.to_dict()["model"]["hidden_size"] == best.point["model.hidden_size"]
    if len(source.result.config.objectives) > 1:
        assert sections["next_file"] == ""
        assert sections["next"][0].startswith("There is none: with several objectives")
    else:
        assert SweepConfig.from_dict(yaml.safe_load(sections["next_file"])).search


def test_one_diverged_trial_does_not_pale_the_filters_of_the_others() -> None:
    generator = np.random.default_rng(0)
    usual = [generator.normal(size=(16, 64)) for _ in range(5)]
    assert colour_range(usual) == pytest.approx(np.quantile(np.abs(np.concatenate(usual)), 0.995))
    assert colour_range([*usual, generator.normal(size=(16, 64)) * 1e5]) < 4 * colour_range(usual)
    assert colour_range([np.full((2, 2), np.nan)]) == 0.0
