import io
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from sweeps.models.figures.learning_curves import LearningCurves, RankedEpoch, draw_learning_curves

CURVES = LearningCurves(
    {
        "valid/probe_error": ([1, 2, 3], [0.3, 0.1, 0.2]),
        "train/loss": ([1, 2, 3], [80.0, 60.0, 50.0]),
        "valid/mse": ([1, 2, 3], [0.05, 0.03, 0.02]),
        "valid/denoise_mse": ([1, 2, 3], [0.06, 0.04, 0.03]),
    },
    {"mean predictor": 0.067, "PCA, 30 components": 0.001},
    "h=16 noise=0.3",
    RankedEpoch(("valid/probe_error",), 2),
)


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are drawn, as matplotlib has them."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: object, **kwargs: object) -> None:
        figures.append(figure)
        save(figure, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def axes(drawn: list[Figure], curves: LearningCurves) -> list[Axes]:
    draw_learning_curves(curves)
    return list(drawn[-1].axes)


def legend(axis: Axes) -> list[str]:
    found = axis.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def test_learning_curves_are_a_png_of_800x500() -> None:
    assert decode(draw_learning_curves(CURVES)).shape == (500, 800, 3)


def test_the_first_panel_shows_the_objective_and_its_best_epoch(drawn: list[Figure]) -> None:
    first, *others = axes(drawn, CURVES)
    assert legend(first) == ["valid/probe_error", "best epoch 2: 0.1"]
    assert [line.get_xydata().tolist() for line in first.lines if line.get_fillstyle() == "none"] == [[[2, 0.1]]]
    for axis in (first, *others):
        assert any(list(line.get_xdata()) == [2, 2] for line in axis.lines)


def test_the_title_is_the_name_of_the_run(drawn: list[Figure]) -> None:
    axes(drawn, CURVES)
    assert drawn[-1].get_suptitle() == "h=16 noise=0.3"


def test_metrics_of_one_unit_share_a_panel_and_each_panel_names_its_unit(drawn: list[Figure]) -> None:
    shown = axes(drawn, replace(CURVES, series=CURVES.series | {"pretrain/loss": ([1, 2], [900.0, 300.0])}))
    labels = ["share misclassified", "mean squared error", "training loss", "pretraining loss"]
    assert [axis.get_ylabel() for axis in shown] == labels
    assert legend(shown[1])[:2] == ["valid/mse", "valid/denoise_mse"]


def test_every_objective_has_a_panel_before_other_metrics(drawn: list[Figure]) -> None:
    series = CURVES.series | {"valid/r2": ([1, 2, 3], [0.1, 0.5, 0.4])}
    ranked = RankedEpoch(("valid/r2", "train/loss"), 3, "last epoch")
    first, second, *_ = axes(drawn, replace(CURVES, series=series, ranked=ranked))
    assert legend(first) == ["valid/r2", "last epoch 3: 0.4"]
    assert legend(second) == ["train/loss", "last epoch 3: 50"]


def test_a_reference_that_would_squash_the_curves_is_stated_without_a_line(drawn: list[Figure]) -> None:
    errors = axes(drawn, replace(CURVES, references={"mean predictor": 0.9, "PCA, 30 components": 0.01}))[1]
    assert legend(errors)[2:] == ["mean predictor 0.9 (above)", "PCA, 30 components 0.01"]
    low, high = errors.get_ylim()
    assert 0.005 < low < 0.01
    assert 0.06 < high < 0.07


@pytest.mark.parametrize("n_metrics", [1, 2, 3, 4])
def test_curves_reach_over_their_panels(drawn: list[Figure], n_metrics: int) -> None:
    series = dict(list(CURVES.series.items())[:n_metrics])
    for axis in axes(drawn, replace(CURVES, series=series, references={})):
        values = [y for line in axis.lines if line.get_label() in series for y in line.get_ydata()]
        low, high = axis.transData.inverted().transform(axis.transAxes.transform([(0, 0.1), (0, 0.9)]))[:, 1]
        assert min(values) < low
        assert max(values) > high


def test_no_legend_covers_its_panel_or_leaves_the_figure(drawn: list[Figure]) -> None:
    many = {f"valid/{name}": ([1, 2], [0.1, 0.2]) for name in ("r2", "dead_units", "mse_over_pca", "code_sparsity")}
    for series in (CURVES.series, CURVES.series | many):
        for axis in axes(drawn, replace(CURVES, series=series)):
            box, own = axis.get_legend().get_window_extent(), axis.get_window_extent()  # type: ignore[union-attr]
            assert box.y0 >= own.y1 - 1
            assert box.x1 <= 800
            assert own.width > 150
            assert own.height > 90


SHORT = [
    {},
    {"valid/mse": ([], [])},
    {"valid/mse": ([0], [0.1])},
    {"valid/mse": ([0, 1], [0.0, 0.1])},
    {"valid/mse": ([0, 1, 2], [0.1, math.nan, math.inf])},
    {"valid/mse": ([1], [math.nan])},
    {"train/loss": (list(range(500)), [10 / (1 + e) for e in range(500)])},
]


@pytest.mark.parametrize("series", SHORT)
def test_short_empty_and_diverged_histories_are_drawn(series: dict[str, tuple[list[int], list[float]]]) -> None:
    assert decode(draw_learning_curves(replace(CURVES, series=series))).shape == (500, 800, 3)


def test_non_finite_references_are_omitted() -> None:
    with_nan = replace(CURVES, references=CURVES.references | {"PCA": math.nan})
    assert draw_learning_curves(with_nan) == draw_learning_curves(CURVES)


def test_a_long_name_is_wrapped_into_the_figure(drawn: list[Figure]) -> None:
    axes(drawn, replace(CURVES, title="model.hidden_size=3 " * 12))
    title = drawn[-1].texts[0].get_window_extent()
    assert title.x0 >= 0
    assert title.x1 <= 800


def test_concurrent_threads_draw_the_same_curves() -> None:
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: draw_learning_curves(CURVES), range(8)))
    assert len(set(pictures)) == 1
