"""Files of samples in, files of scores out; samples without a score are counted, and other files refused."""

import os
import resource
import signal
from dataclasses import replace
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


def test_a_sample_without_a_finite_output_has_no_score(model: PackagedModel, tmp_path: Path) -> None:
    def predict(samples: Any) -> Any:
        outputs = model.predict(samples)
        outputs[2, 1] = np.inf
        return outputs

    samples = raw_samples(6).astype(np.float32)
    samples[4, 0] = np.nan
    np.save(tmp_path / "in.npy", samples)
    scores = score(replace(model, predict=predict), tmp_path / "in.npy", tmp_path / "out.npy")
    assert (scores.unscored, scores.not_finite, scores.exit_status) == ((2, 4), (2,), 3)
    unusable, damaged = scores.issues
    assert unusable.startswith("1 of 6 samples hold NaN")
    assert unusable.endswith("rows 4, counted from 0")
    assert damaged.startswith("1 of 6 samples have no finite output, so all their outputs are NaN: rows 2, counted")
    assert np.flatnonzero(np.isnan(np.load(tmp_path / "out.npy")).all(axis=1)).tolist() == [2, 4]


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


def test_the_samples_are_not_overwritten_by_another_spelling_of_their_name(
    model: PackagedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    table = pa.table({f"x{n}": raw_samples(6)[:, n] for n in range(12)})
    csv.write_csv(table, tmp_path / "in.csv")
    before = (tmp_path / "in.csv").read_bytes()
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "in.csv")
    (tmp_path / "folder").symlink_to(tmp_path)
    for source in ("~/in.csv", "in.csv", str(tmp_path / "in.csv")):
        for target in ("in.csv", "hard.csv", "folder/in.csv", "folder/./in.csv", tmp_path / "in.csv"):
            with pytest.raises(InputError, match="OUT must not be the file of the samples"):
                score(model, Path(source), Path(target))
    assert (tmp_path / "in.csv").read_bytes() == before


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".csv", ".parquet", ".feather"])
def test_an_output_that_cannot_be_written_is_one_line_and_leaves_what_was_there(
    model: PackagedModel, tmp_path: Path, suffix: str
) -> None:
    np.save(tmp_path / "in.npy", raw_samples(6))
    (tmp_path / f"folder{suffix}").mkdir()
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"device{suffix}").symlink_to("/dev/full")
    (tmp_path / "file").write_text("kept")
    (tmp_path / f"loop{suffix}").symlink_to(f"loop{suffix}")
    before = sorted(tmp_path.iterdir())
    for target in (f"folder{suffix}", f"pipe{suffix}", f"device{suffix}", f"file/out{suffix}", f"{'x' * 300}{suffix}"):
        with pytest.raises(InputError, match="OUT") as refused:
            score(model, tmp_path / "in.npy", tmp_path / target)
        assert len(refused.value.issues) == 1
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "file").read_text() == "kept"
    with pytest.raises(InputError, match="OUT"):
        score(model, tmp_path / "in.npy", Path(f"/proc/out{suffix}"))


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".csv", ".parquet", ".feather"])
def test_a_disk_that_fills_while_scores_are_written_leaves_the_earlier_scores(
    model: PackagedModel, tmp_path: Path, suffix: str
) -> None:
    np.save(tmp_path / "in.npy", np.tile(raw_samples(6), (500, 1)))
    (tmp_path / f"out{suffix}").write_bytes(b"earlier")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(InputError, match="cannot be written"):
            score(model, tmp_path / "in.npy", tmp_path / f"out{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / f"out{suffix}").read_bytes() == b"earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", f"out{suffix}"]


def test_a_pipe_is_no_file_of_samples(model: PackagedModel, tmp_path: Path) -> None:
    for name in ("pipe.npy", "pipe.csv"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="is a pipe or a device"):
            score(model, tmp_path / name, tmp_path / "out.npz")
