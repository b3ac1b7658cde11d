"""What a `data` section states about its dataset before loading it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sweeps.datamodules.build import load_arrays
from sweeps.datamodules.config import (
    ArrayConfig,
    BlobsConfig,
    DataConfig,
    DigitsConfig,
    RowsConfig,
    TableConfig,
    UniformConfig,
)
from sweeps.errors import ConfigError

SMALL: list[DataConfig] = [DigitsConfig(), BlobsConfig(), UniformConfig(n_samples=9), RowsConfig(rows=((1.0, 2.0),))]


@pytest.mark.parametrize("section", SMALL, ids=lambda section: section.name)
def test_a_data_section_states_its_features_and_labels(section: DataConfig) -> None:
    arrays = load_arrays(section)
    assert arrays.n_features == section.n_features
    assert (arrays.n_classes is not None) == section.may_have_labels


@pytest.mark.parametrize(
    ("path", "labels_path", "may"), [("a.npy", None, False), ("a.npy", "labels.npy", True), ("a.npz", None, True)]
)
def test_a_users_array_may_have_labels_in_an_npz_or_with_labels_path(
    path: str, labels_path: str | None, may: bool
) -> None:
    section = ArrayConfig(path=Path(path), labels_path=None if labels_path is None else Path(labels_path))
    assert section.may_have_labels == may
    assert section.n_features is None


@pytest.mark.parametrize("name", ["x.csv", "x.PARQUET", "x.feather"])
def test_a_table_names_its_section_and_arrays_point_to_it(name: str) -> None:
    assert not TableConfig(path=Path(name)).may_have_labels
    assert TableConfig(path=Path(name), label_column="y").may_have_labels
    with pytest.raises(ConfigError, match=r"for a table, set data\.name to table"):
        ArrayConfig(path=Path(name))


@pytest.mark.parametrize(
    ("name", "hint"), [("x.npz", ": for arrays, set data.name to array"), ("x.xlsx", "not x.xlsx")]
)
def test_a_table_must_be_of_a_known_format(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=rf"must end in \.csv, \.parquet or \.feather.*{hint}"):
        TableConfig(path=Path(name))


def test_a_label_column_cannot_be_dropped() -> None:
    with pytest.raises(ConfigError, match="drop_columns must not name the label_column 'y'"):
        TableConfig(path=Path("x.csv"), label_column="y", drop_columns=("y",))


@pytest.mark.parametrize("shape", [[28, 28], [32, 24, 3], [3, 32, 24]])
def test_an_image_is_grey_or_has_three_channels_first_or_last(shape: list[int]) -> None:
    section = ArrayConfig.model_validate({"path": "a.npy", "image_shape": shape})
    assert section.image_shape == tuple(shape)


@pytest.mark.parametrize("shape", [[28], [28, 28, 1], [4, 32, 32], [3, 4, 5, 6], [0, 28]])
def test_other_image_shapes_are_refused(shape: list[int]) -> None:
    with pytest.raises(ValidationError, match="image_shape"):
        ArrayConfig.model_validate({"path": "a.npy", "image_shape": shape})
