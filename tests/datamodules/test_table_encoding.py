import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.config import TableConfig
from sweeps.datamodules.table_encoding import TableEncoding
from sweeps.datamodules.table_fitting import fit_encoding

PEOPLE = pa.table(
    {
        "id": [10, 11, 12, 13],
        "age": [31, None, 55, 42],
        "city": ["Rome", "Bonn", None, "Rome"],
        "height": [1.5, 1.75, 2.0, float("nan")],
        "class": ["yes", "no", "yes", "no"],
    }
)
NAN = np.nan


def fit(table: Any = PEOPLE, **settings: Any) -> TableEncoding:
    return fit_encoding(table, TableConfig(path=Path("t.csv"), **settings))


def people() -> TableEncoding:
    return fit(label_column="class", drop_columns=("id",))


def test_numbers_become_a_feature_and_text_one_per_category_with_nan_for_missing() -> None:
    encoding = people()
    assert encoding.feature_names == ("age", "city=Bonn", "city=Rome", "height")
    inputs = encoding.encode(PEOPLE)
    expected = [[31, 0, 1, 1.5], [NAN, 1, 0, 1.75], [55, NAN, NAN, 2], [42, 0, 1, NAN]]
    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(inputs, np.array(expected, np.float32))


def test_classes_are_sorted_and_labels_count_them() -> None:
    encoding = people()
    assert encoding.classes == ("no", "yes")
    labels = encoding.encode_labels(PEOPLE)
    assert labels is not None
    assert labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
        ([True, False, True], ("false", "true"), [1, 0, 1]),
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ("a", "b"), [1, 0, 1]),
    ],
)
def test_labels_of_any_discrete_type_are_classes(labels: Any, classes: Any, expected: list[int]) -> None:
    table = pa.table({"x": [1, 2, 3], "y": labels})
    encoding = fit(table, label_column="y")
    assert encoding.classes == classes
    encoded = encoding.encode_labels(table)
    assert encoded is not None
    assert encoded.tolist() == expected


def test_an_encoding_survives_json() -> None:
    encoding = people().with_means([1.5, 0.25, 0.1, 3e8])
    assert TableEncoding.from_dict(json.loads(json.dumps(encoding.to_dict()))) == encoding
    with pytest.raises(DatasetError, match="encoding"):
        TableEncoding.from_dict({"columns": [{}]})


def test_rows_are_encoded_alike_in_any_order_and_without_labels_and_dropped_columns() -> None:
    encoding = people()
    bare = PEOPLE.select(["height", "city", "age"])
    np.testing.assert_array_equal(encoding.encode(bare), encoding.encode(PEOPLE))
    one_by_one = [encoding.encode(PEOPLE.slice(row, 1)) for row in range(len(PEOPLE))]
    np.testing.assert_array_equal(np.concatenate(one_by_one), encoding.encode(PEOPLE))


def test_an_unknown_category_is_zero_in_all_features_and_counted() -> None:
    encoding, table = people(), pa.table({"age": [1, 2], "city": ["Oslo", "Rome"], "height": [1.0, 2.0]})
    np.testing.assert_array_equal(encoding.encode(table)[:, 1:3], [[0, 0], [0, 1]])
    assert encoding.unknown_categories(table) == {"city": 1}
    assert encoding.unknown_categories(PEOPLE) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": None}, "lacks 'age'"),
        ({"weight": [1, 2]}, "also has 'weight'"),
        ({"age": ["7", "seven"]}, "column 'age' must hold numbers; row 2 has 'seven'"),
        ({"age": [1.0, float("inf")]}, "column 'age' must hold finite numbers; row 2 has inf"),
        ({"age": [1e39, 1.0]}, "column 'age' must hold numbers of at most 3.4e\\+38 .float32.; row 1 has 1e\\+39"),
        ({"age": pa.array([0, 1], pa.timestamp("s"))}, "column 'age' must hold numbers; it holds timestamp"),
    ],
)
def test_tables_that_do_not_fit_the_encoding_are_refused(changes: dict[str, Any], message: str) -> None:
    columns = {"age": [1, 2], "city": ["Rome", "Rome"], "height": [1.0, 2.0]} | changes
    table = pa.table({name: values for name, values in columns.items() if values is not None})
    with pytest.raises(DatasetError, match=message):
        people().encode(table)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([0, 1, 2], pa.date32()), "column 'x' must hold numbers or text; it holds date32"),
        ([[1], [2], [3]], "column 'x' must hold numbers or text; it holds list"),
        ([b"a", b"b", b"a"], "column 'x' must hold numbers or text; it holds binary"),
        (pa.nulls(3), "column 'x' must have a value in some row"),
        ([NAN, NAN, NAN], "column 'x' must have a value in some row"),
        (["a", "b", "c"], "column 'x' must have at most 2 categories; it has 3: add it to data.drop_columns"),
        (["1", "2", "none"], "most of them numbers, but also 'none': leave such cells empty"),
        ([1e-40, 2e-40, 3e-40], "column 'x' must have a number of at least 1.2e-38"),
        ([1.7e9, 1.7e9 + 1, 1.7e9 + 2], "column 'x' must vary by more than float32's rounding"),
    ],
)
def test_columns_that_cannot_be_features_are_refused(column: Any, message: str) -> None:
    table = pa.table({"x": column, "y": [1, 2, 3]})
    with pytest.raises(DatasetError, match=message):
        fit(table, max_categories=2)


def test_all_that_is_wrong_with_the_columns_is_reported_at_once() -> None:
    table = pa.table({"a": pa.nulls(2), "b": pa.nulls(2), "c": [0.5, 1.5]})
    with pytest.raises(DatasetError) as error:
        fit(table, label_column="c")
    assert len(error.value.issues) == 3
    with pytest.raises(DatasetError) as error:
        fit(table, label_column="d", drop_columns=("e",))
    assert [issue.split()[0] for issue in error.value.issues] == ["data.label_column", "data.drop_columns"]
    with pytest.raises(DatasetError, match="did you mean 'class'"):
        fit(PEOPLE, label_column="klass")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", None, "a"], "must have a class in each row; 1 rows have none, the first is row 2"),
        (["a", "b", "c"], "must have fewer classes than there are rows"),
        ([0.5, 1.0, 1.0], "has fractions"),
        (pa.array([0, 1, 1], pa.date32()), "must hold text or integers"),
    ],
)
def test_columns_that_cannot_be_labels_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        fit(pa.table({"x": [1, 2, 3], "y": labels}), label_column="y")


def test_pandas_index_is_no_feature_and_a_column_without_name_is_refused() -> None:
    index = pa.table({"x": [1, 2], "__index_level_0__": [0, 1]})
    encoding = fit(index)
    assert encoding.feature_names == ("x",)
    assert encoding.encode(index).shape == (2, 1)
    nameless = pa.table({"": [0, 1], "x": [1, 2]})
    with pytest.raises(DatasetError, match=r"add '' to data\.drop_columns"):
        fit(nameless)
    assert fit(nameless, drop_columns=("",)).feature_names == ("x",)


@given(
    st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=2, max_size=20, unique=True),
    st.floats(-13, 8.5),
)
def test_columns_of_any_scale_keep_their_values_to_float32(values: list[float], exponent: float) -> None:
    numbers = np.array([1.0, -1.0, *values]) * 10**exponent
    table = pa.table({"x": numbers})
    np.testing.assert_allclose(fit(table).encode(table)[:, 0], numbers, rtol=6e-8, atol=1e-38)


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc")), min_size=1).filter(lambda texts: any(texts)))
def test_one_hot_rows_sum_to_one_or_are_missing(texts: list[str | None]) -> None:
    table = pa.table({"x": pa.array(texts, pa.string())})
    sums = fit(table).encode(table).sum(axis=1)
    np.testing.assert_array_equal(sums, [NAN if text is None else 1 for text in texts])


def test_fill_replaces_missing_values_by_the_means_only_with_missing_mean() -> None:
    encoding = fit(label_column="class", drop_columns=("id",), missing="mean").with_means([1, 2, 3, 4])
    filled = encoding.fill(encoding.encode(PEOPLE))
    assert filled[1, 0] == 1
    assert filled[2, 1:3].tolist() == [2, 3]
    assert not np.isnan(filled).any()
    masked = people()
    assert np.isnan(masked.fill(masked.encode(PEOPLE))).sum() == 4
