import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweeps.tracking.mlflow.figures import FigureError, draw

HISTORY = [(epoch, {"train/loss": 1 / epoch, "valid/mse": 0.5 / epoch}) for epoch in range(1, 9)]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "snapshot-00004.npz"
    images = np.linspace(0, 1, 640, dtype=np.float32).reshape(10, 64)
    np.savez(path, filters=images, originals=images, reconstructions=images, image_shape=np.array([8, 8]))
    return path


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return image


@pytest.mark.parametrize("kind", ["filters", "reconstructions"])
def test_snapshot_is_drawn_large_enough_to_see(kind: str, snapshot: Path) -> None:
    assert opened(draw(kind, snapshot, [], {})).width >= 400


def test_snapshot_without_an_image_shape_is_drawn_as_a_matrix(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.npz"
    np.savez(path, filters=np.eye(5, 7, dtype=np.float32))
    image = opened(draw("filters", path, [], {}))
    assert image.width * 5 == image.height * 7


def test_loss_curve_is_drawn_from_the_history() -> None:
    with_history = draw("loss_curve", Path(), HISTORY, {"mean predictor": 0.4})
    assert opened(with_history).width >= 600
    assert with_history != draw("loss_curve", Path(), HISTORY[:3], {"mean predictor": 0.4})


def test_loss_curve_of_a_point_that_measured_nothing_is_drawn() -> None:
    assert opened(draw("loss_curve", Path(), [], {})).width >= 600


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not a zip"])
def test_damaged_snapshot_is_reported(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.npz"
    path.write_bytes(content)
    with pytest.raises(FigureError, match=r"cannot draw filters from snapshot\.npz"):
        draw("filters", path, [], {})


def test_truncated_snapshot_is_reported(snapshot: Path) -> None:
    whole = snapshot.read_bytes()
    for n_bytes in range(0, len(whole), 97):
        snapshot.write_bytes(whole[:n_bytes])
        with pytest.raises(FigureError):
            draw("filters", snapshot, [], {})


def test_missing_snapshot_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FigureError, match="No such file"):
        draw("filters", tmp_path / "snapshot.npz", [], {})


def test_pickled_snapshot_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.npz"
    np.savez(path, filters=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FigureError, match="allow_pickle"):
        draw("filters", path, [], {})


def test_unknown_kind_is_reported() -> None:
    with pytest.raises(FigureError, match="not 'portrait'"):
        draw("portrait", Path(), [], {})
