import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from PIL import Image

from sweeps.tracking.mlflow.image_grid import image_files

RNG = np.random.default_rng(0)


def png(*shape: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, shape, np.uint8)).save(content, "PNG")
    return content.getvalue()


SMALL = png(6, 9)


def parts(name: str) -> list[str]:
    """The parts of a name without those that the clock and chance decide in MLflow's own."""
    stem, _, ending = name.rpartition(".")
    key, step_label, step, time_label, _, _, *compressed = stem.split("+")
    return [key, step_label, step, time_label, *compressed, ending]


def test_files_are_named_as_mlflow_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(MlflowClient, "set_tag", lambda *_: None)
    monkeypatch.setattr(MlflowClient, "log_artifact", lambda *given: logged.append(f"{given[3]}/{Path(given[2]).name}"))
    MlflowClient("sqlite://").log_image("a", np.zeros((4, 4), np.uint8), key="filters", step=5, synchronous=True)
    ours = list(image_files("a", "filters", 5, 1_700_000_000_000, SMALL))
    assert [parts(name) for name in ours] == [parts(name) for name in logged]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["filters", "codes"]), st.integers(0, 9)), unique=True)
)
def test_a_repeated_delivery_has_the_names_of_the_first_and_no_other_image_has(
    images: list[tuple[str, str, int]],
) -> None:
    once, again = ([tuple(image_files(*image, 7, SMALL)) for image in images] for _ in range(2))
    assert once == again
    assert len({name for names in once for name in names}) == 2 * len(images)


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 3)])
def test_both_files_show_the_same_picture(shape: tuple[int, ...]) -> None:
    content = png(*shape)
    whole, in_grid = image_files("a", "filters", 0, 7, content).values()
    assert whole == content
    shown = Image.open(io.BytesIO(in_grid))
    assert shown.format == "WEBP"
    np.testing.assert_array_equal(shown.convert("RGB"), Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_picture_wider_than_webp_allows_is_shrunk_for_the_grid() -> None:
    _, in_grid = image_files("a", "filters", 0, 7, png(64, 20_000)).values()
    assert Image.open(io.BytesIO(in_grid)).size == (1024, 3)
