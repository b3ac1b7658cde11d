"""The predictor of a packaged model encodes a data frame as the training encoded its table."""

from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.datamodules.config import TableConfig
from sweeps.datamodules.table_encoding import TableEncoding
from sweeps.datamodules.table_fitting import fit_encoding
from sweeps.models.build import build_network
from sweeps.models.config import ShallowConfig
from sweeps.models.feature_statistics import feature_statistics
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.packaging import Package
from sweeps.registry.predictor import encoded
from sweeps.registry.scoring import score

TRAINING = pa.table(
    {
        "age": [31, 44, 27, 31],
        "city": ["Rome", "Oslo", None, "Rome"],
        "paid": [True, False, True, True],
        "x": [0.5, None, 2, 3],
    }
)
ENCODING = fit_encoding(TRAINING, TableConfig(path=Path("t.csv"), missing="mean")).with_means(
    [33.25, 0.3, 0.7, 0.75, 1.8]
)

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.one_of(st.none(), st.integers(-(2**31), 2**31)),
            "city": st.one_of(st.none(), st.sampled_from(["Rome", "Oslo", "Lima", "rome", ""])),
            "paid": st.one_of(st.none(), st.booleans()),
            "x": st.one_of(st.none(), st.floats(-1e30, 1e30)),
        }
    ),
    min_size=1,
    max_size=5,
)


@given(rows=ROWS)
def test_a_data_frame_gets_the_features_of_the_same_table(rows: list[dict[str, Any]]) -> None:
    schema = pa.schema({"age": pa.int64(), "city": pa.string(), "paid": pa.bool_(), "x": pa.float64()})
    table = pa.Table.from_pylist(rows, schema)
    expected = ENCODING.fill(ENCODING.encode(table))
    for frame in (table.to_pandas(), pd.DataFrame(rows, columns=["x", "paid", "city", "age"])):
        np.testing.assert_array_equal(encoded(frame, ENCODING.to_dict()), expected)


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> PackagedModel:
    folder = tmp_path_factory.mktemp("table") / "model"
    config = ShallowConfig(hidden_size=2)
    network = build_network(config, input_size=5, n_classes=None, seed=1)
    Package(network, config, 1.0, ENCODING.fill(ENCODING.encode(TRAINING)), ENCODING).save(folder)
    return PackagedModel.load(folder)


def test_pyfunc_takes_the_columns_of_the_table_in_any_order_and_ignores_others(packaged: PackagedModel) -> None:
    frame = TRAINING.to_pandas().assign(id=range(4))[["x", "id", "city", "age", "paid"]]
    scores = mlflow.pyfunc.load_model(str(packaged.folder)).predict(frame)
    assert list(scores.columns) == packaged.column_names
    assert "reconstruction_city=Oslo" in scores
    expected = packaged.predict(ENCODING.fill(ENCODING.encode(TRAINING)))
    np.testing.assert_allclose(scores.to_numpy(), expected, atol=1e-6)


def test_pyfunc_names_the_columns_that_a_data_frame_lacks(packaged: PackagedModel) -> None:
    with pytest.raises(Exception, match=r"lacks city, x"):
        mlflow.pyfunc.load_model(str(packaged.folder)).predict(TRAINING.to_pandas()[["age", "paid"]])


def test_pyfunc_names_the_column_that_holds_no_numbers(packaged: PackagedModel) -> None:
    with pytest.raises(Exception, match=r"column 'x' must hold numbers.*abc"):
        mlflow.pyfunc.load_model(str(packaged.folder)).predict(TRAINING.to_pandas().assign(x="abc"))


def test_a_file_is_scored_with_the_encoding_of_the_training(packaged: PackagedModel, tmp_path: Path) -> None:
    frame = TRAINING.to_pandas()
    frame.to_csv(tmp_path / "in.csv", index=False)
    scores = score(packaged, tmp_path / "in.csv", tmp_path / "out.csv")
    assert scores.exit_status == 0
    written = pd.read_csv(tmp_path / "out.csv")
    expected = packaged.predict(ENCODING.fill(ENCODING.encode(TRAINING)))
    np.testing.assert_allclose(written.to_numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_row_without_any_value_has_no_score(packaged: PackagedModel, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("age,city,paid,x\n31,Rome,true,0.5\n,,,\n,,,2\n")
    scores = score(packaged, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (scores.exit_status, scores.unscored) == (3, (1,))
    written = pd.read_csv(tmp_path / "out.csv")
    assert written.loc[1].isna().all()
    assert written.loc[[0, 2]].notna().all(axis=None)


def test_a_model_that_takes_missing_values_needs_one_value_in_a_row(tmp_path: Path) -> None:
    rows = np.array([[0.5, np.nan, 1.0], [np.nan, np.nan, np.nan], [1.0, 2.0, np.inf], [1.0, 2.0, 3.0]])
    statistics = feature_statistics(rows[[0, 3]], 1.0)
    config = ShallowConfig(hidden_size=2)
    network = build_network(config, input_size=3, n_classes=None, seed=1, statistics=statistics)
    Package(network, config, 1.0, rows[[0, 3]]).save(tmp_path / "model")
    np.save(tmp_path / "in.npy", rows)
    scores = score(PackagedModel.load(tmp_path / "model"), tmp_path / "in.npy", tmp_path / "out.npy")
    assert scores.unscored == (1, 2)
    assert np.isfinite(np.load(tmp_path / "out.npy")[[0, 3]]).all()


def test_the_suffix_of_a_table_may_be_in_capitals(packaged: PackagedModel, tmp_path: Path) -> None:
    TRAINING.to_pandas().to_csv(tmp_path / "IN.CSV", index=False)
    assert score(packaged, tmp_path / "IN.CSV", tmp_path / "out.csv").n_samples == 4


def test_categories_that_training_did_not_see_are_counted(packaged: PackagedModel, tmp_path: Path) -> None:
    frame = TRAINING.to_pandas()
    frame.loc[[0, 2], "city"] = "Lima"
    frame.to_csv(tmp_path / "in.csv", index=False)
    scores = score(packaged, tmp_path / "in.csv", tmp_path / "out.csv")
    assert scores.issues == ["2 of 4 samples have a category of column 'city' that training did not see"]


def test_the_encoding_survives_the_package(packaged: PackagedModel) -> None:
    assert packaged.table == ENCODING
    assert TableEncoding.from_dict(ENCODING.to_dict()) == ENCODING
