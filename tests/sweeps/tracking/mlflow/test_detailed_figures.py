"""Detailed figures, from the arrays of a best epoch: which there are, and what is in them."""

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sweeps.models.figures.table import figures_from
from sweeps.models.figures.tiles import draw_filters, draw_rows, enlarged
from sweeps.storage.layout import PointFolder, SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.mlflow.detailed_figures import figures_of, record_detailed_figures
from sweeps.tracking.mlflow.figures import FigureError, draw

KINDS = [figure.kind for figure in figures_from("best epoch")]
RNG = np.random.default_rng(0)
LEVELS = {"mean predictor": 0.07, "PCA, 2 components": 0.05}
HISTORY = [(epoch, {"valid/mse": 1 / epoch}) for epoch in range(1, 9)]
WriteJournal = Callable[..., Journal]


@pytest.fixture
def folder(tmp_path: Path) -> PointFolder:
    """A point of every kind at once: a stack with a code of two units, and a linear model's matrix."""
    point = SweepFolder(tmp_path).point("0003")
    point.path.mkdir(parents=True)
    components = np.linalg.qr(RNG.normal(size=(64, 5)))[0]
    labels = RNG.integers(0, 10, 50)
    codes = RNG.normal(size=(50, 2))
    np.savez(point.sweep.references, mean=RNG.random(64), components=components, codes=codes, labels=labels)
    filters, product = RNG.normal(size=(12, 64)), RNG.normal(size=(2, 64))
    shape = np.array([8, 8])
    np.savez(point.snapshot(4), filters=filters, product=product, image_shape=shape)
    write_best(
        point,
        filters=filters * 2,
        product=product,
        n_pretraining_epochs=4,
        codes=codes,
        weights=np.eye(6),
        image_shape=shape,
    )
    return point


def write_best(point: PointFolder, **arrays: object) -> None:
    samples = RNG.random((10, 64))
    common = {"epoch": 7, "code_size": 2, "originals": samples, "reconstructions": samples / 2}
    np.savez(point.best_arrays, **(common | arrays))  # type: ignore[arg-type]


def kinds_of(point: PointFolder) -> list[str]:
    return [figure.kind for figure in figures_of(point)]


def drawn(kind: str, point: PointFolder) -> np.ndarray:
    png = draw(kind, point.best_arrays, HISTORY, LEVELS)
    assert png.startswith(b"\x89PNG")
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def shows(picture: np.ndarray, part: Image.Image) -> bool:
    """Whether the part is in the picture, pixel by pixel."""
    wanted = np.asarray(part)
    windows = np.lib.stride_tricks.sliding_window_view(picture, (1, wanted.shape[1]))[:, :, 0]
    places = np.argwhere((windows[: 1 - len(wanted) or None] == wanted[0]).all(axis=2))
    return any(np.array_equal(picture[y : y + len(wanted), x : x + wanted.shape[1]], wanted) for y, x in places)


def test_every_kind_is_drawn_where_its_arrays_are(folder: PointFolder) -> None:
    assert kinds_of(folder) == KINDS
    for kind in KINDS:
        height, width = drawn(kind, folder).shape
        assert 400 <= width <= 1400
        assert 200 <= height <= 900


def test_plain_model_has_filters_and_reconstructions_only(folder: PointFolder) -> None:
    write_best(folder, filters=RNG.normal(size=(9, 64)), image_shape=np.array([8, 8]))
    assert kinds_of(folder) == ["filters_in_two_scales", "reconstructions_and_pca"]


def test_point_that_saved_no_best_epoch_has_none(tmp_path: Path) -> None:
    assert figures_of(SweepFolder(tmp_path).point("0000")) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not a zip", b"\x80\x04N."])
def test_damaged_arrays_leave_a_trial_without_detailed_figures_and_are_logged(
    folder: PointFolder, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder.best_arrays.write_bytes(content)
    assert figures_of(folder) == []
    assert f"{folder.best_arrays} must be a file of arrays" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("array", [np.array(3.0), np.arange(4.0), np.array(["a", "b"]), np.ones((2, 3, 4))])
def test_arrays_of_something_else_are_reported_or_drawn(kind: str, folder: PointFolder, array: Any) -> None:
    names = np.load(folder.best_arrays).files
    np.savez(folder.best_arrays, **dict.fromkeys(names, array))
    with suppress(FigureError):
        draw(kind, folder.best_arrays, HISTORY, LEVELS)


def test_filters_before_and_after_fine_tuning_are_those_of_the_two_epochs(folder: PointFolder) -> None:
    before = np.load(folder.snapshot(4))["filters"]
    write_best(folder, filters=before[::-1], n_pretraining_epochs=4, image_shape=np.array([8, 8]))
    picture = drawn("filters_before_and_after", folder)
    for stage in (before, before[::-1]):
        assert shows(picture, enlarged(draw_filters(stage, (8, 8), grid=4).crop((0, 0, 35, 26)), 580, 580))


def test_three_rows_are_originals_pca_with_the_codes_components_and_the_autoencoder(folder: PointFolder) -> None:
    best, references = np.load(folder.best_arrays), np.load(folder.sweep.references)
    originals, first_two = best["originals"], references["components"][:, :2]
    pca = references["mean"] + (originals - references["mean"]) @ first_two @ first_two.T
    rows = [originals, pca, best["reconstructions"]]
    assert shows(drawn("reconstructions_and_pca", folder), enlarged(draw_rows(rows, (8, 8), 90), 900, 900))


def test_pca_is_absent_where_the_code_is_no_bottleneck(folder: PointFolder) -> None:
    best = np.load(folder.best_arrays)
    png = draw("reconstructions_and_pca", folder.best_arrays, HISTORY, {"mean predictor": 0.07})
    rows = [best["originals"], best["reconstructions"]]
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert shows(picture, enlarged(draw_rows(rows, (8, 8), 90), 900, 900))


def test_missing_references_are_reported(folder: PointFolder) -> None:
    folder.sweep.references.unlink()
    with pytest.raises(FigureError, match=r"references\.npz"):
        draw("codes", folder.best_arrays, HISTORY, LEVELS)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_arrays_are_reported(kind: str, folder: PointFolder) -> None:
    folder.best_arrays.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(FigureError, match=f"cannot draw {kind} from best"):
        draw(kind, folder.best_arrays, HISTORY, LEVELS)


def test_figures_are_asked_for_under_the_names_they_have_in_mlflow(write_journal: WriteJournal, tmp_path: Path) -> None:
    journal = write_journal("detailed", n_points=1)
    point = SweepFolder(tmp_path / "detailed").point("p0")
    point.path.mkdir(parents=True)
    write_best(point, filters=RNG.normal(size=(9, 64)), image_shape=np.array([8, 8]))
    record_detailed_figures(journal, point, 7)
    asked = [(entry.body["name"], entry.body["source"]) for entry in journal.delivery.undelivered(10, figures=True)]
    source = "points/p0/best.npz"
    assert asked == [
        ("loss_curve.png", ""),
        ("detailed/filters_in_two_scales.png", source),
        ("detailed/reconstructions_and_pca.png", source),
    ]
