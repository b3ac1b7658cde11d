"""Files of samples in, files of scores out; samples without a score are counted, and other files refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from packages import CONFIGS, raw_samples
from pyarrow import csv, feather, parquet

from sweeps.errors import InputError
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.scoring import score, score_by_alias


@pytest.fixture(scope="module")
def model(package) -> PackagedModel:
    return package(CONFIGS[1])[1]


def test_scores_are_written_by_name_from_images_of_whole_numbers(model: PackagedModel, tmp_path: Path) -> None:
    images = raw_samples(6).reshape(6, 3, 4)
    np.save(tmp_path / "images.npy", images)
    scores = score(model, tmp_path / "images.npy", tmp_path / "out" / "scores.npz")
    assert scores.shapes == {"reconstruction": (6, 12), "code": (6, 5), "reconstruction_error": (6, 1)}
    assert scores.exit_status == 0
    written = np.load(tmp_path / "out" / "scores.npz")
    expected = model.outputs(images.reshape(6, 12))
    assert set(written) == set(expected)
    for name in expected:
        np.testing.assert_array_equal(written[name], expected[name])


def test_scores_are_written_as_one_array_of_all_columns(model: PackagedModel, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", raw_samples(6))
    score(model, tmp_path / "in.npy", tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), model.predict(raw_samples(6).astype(np.float32)))


@pytest.mark.parametrize(
    ("suffix", "read"), [("csv", csv.read_csv), ("parquet", parquet.read_table), ("feather", feather.read_table)]
)
def test_tables_are_read_and_written_with_named_columns(
    model: PackagedModel, tmp_path: Path, suffix: str, read: Any
) -> None:
    table = pa.table({f"x{n}": raw_samples(6)[:, n] for n in range(12)})
    write = {"csv": csv.write_csv, "parquet": parquet.write_table, "feather": feather.write_feather}[suffix]
    write(table, tmp_path / f"in.{suffix}")
    score(model, tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}")
    written = read(tmp_path / f"out.{suffix}")
    assert written.column_names == model.column_names
    columns = np.column_stack([written[name].to_numpy() for name in written.column_names])
    np.testing.assert_allclose(columns, model.predict(raw_samples(6).astype(np.float32)), rtol=1e-6)


def test_the_array_of_an_npz_is_found_by_key_or_alone(model: PackagedModel, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", X=raw_samples(6))
    np.savez(tmp_path / "two.npz", X=raw_samples(6), y=np.arange(6))
    out = tmp_path / "out.npy"
    score(model, tmp_path / "one.npz", out)
    alone = np.load(out)
    score(model, tmp_path / "two.npz", out, key="X")
    np.testing.assert_array_equal(np.load(out), alone)
    with pytest.raises(InputError, match=r"holds X, y: use --inputs-key"):
        score(model, tmp_path / "two.npz", out)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_samples_without_a_score_are_counted_and_get_none(model: PackagedModel, tmp_path: Path, value: float) -> None:
    raw = raw_samples(2500).astype(np.float64)
    raw[[3, 2222], [0, 11]] = value
    np.save(tmp_path / "in.npy", raw)
    scores = score(model, tmp_path / "in.npy", tmp_path / "out.npz")
    assert (scores.exit_status, scores.unscored) == (3, (3, 2222))
    assert len(scores.issues) == 1
    assert "2 of 2500 samples" in scores.issues[0]
    assert "rows 3, 2222" in scores.issues[0]
    for values in np.load(tmp_path / "out.npz").values():
        assert np.isnan(values[[3, 2222]]).all()
        assert np.isfinite(np.delete(values, [3, 2222], axis=0)).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((4, 11)), "12 values"),
        (np.zeros((0, 12)), "12 values"),
        (np.zeros(12), "samples first"),
        (np.array([["a", "b"]]), "hold numbers"),
        (np.array([[{}]]), "Python objects"),
        (None, "there is no such file"),
        (b"not an array", "no NumPy header"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_requirement(
    model: PackagedModel, tmp_path: Path, content: Any, words: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / "in.npy").write_bytes(content)
    elif content is not None:
        np.save(tmp_path / "in.npy", content)
    with pytest.raises(InputError, match=words) as refused:
        score(model, tmp_path / "in.npy", tmp_path / "out.npz")
    assert "allow_pickle" not in str(refused.value)
    assert not (tmp_path / "out.npz").exists()


def test_the_samples_are_never_overwritten(model: PackagedModel, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", raw_samples(6))
    (tmp_path / "link.npy").symlink_to("in.npy")
    for target in ("in.npy", "link.npy"):
        with pytest.raises(InputError, match="choose another name"):
            score(model, tmp_path / "in.npy", tmp_path / target)
    np.testing.assert_array_equal(np.load(tmp_path / "in.npy"), raw_samples(6))


def test_an_output_of_another_format_is_refused_before_a_model_is_downloaded(tmp_path: Path) -> None:
    nowhere: Any = None  # never used
    with pytest.raises(InputError, match=r"\.npz"):
        score_by_alias(nowhere, "digits@champion", tmp_path / "in.npy", tmp_path / "out.txt")
