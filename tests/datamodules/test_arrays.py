from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sweeps.datamodules.arrays import DataArrays, DatasetError, Split, check_unit_interval
from sweeps.datamodules.config import ValidateOn


def make_split(n_samples: int, start: int = 0) -> Split:
    inputs = np.arange(start, start + 4 * n_samples).astype(np.uint8).reshape(n_samples, 4)
    return Split(inputs, (np.arange(n_samples) % 3).astype(np.int64))


def arrays(validate_on: ValidateOn = "valid", **changes: Any) -> DataArrays:
    train, valid, test = make_split(8), make_split(3, 50), make_split(4, 80)
    values: dict[str, Any] = {
        "name": "small",
        "train": train,
        "valid": {"train": train, "valid": valid, "test": test}[validate_on],
        "test": test,
        "scale": 0.5,
        "image_shape": (2, 2),
        "n_classes": 3,
        "checksum": "abc",
        "validate_on": validate_on,
        "seed": 7,
    }
    return DataArrays(**(values | changes))


def shares_memory_with_any(array: Any, split: Split) -> bool:
    return isinstance(array, np.ndarray) and np.shares_memory(array, split.inputs)


@pytest.mark.parametrize("validate_on", ["valid", "train", "test"])
def test_arrays_survive_the_round_trip_to_a_worker(validate_on: ValidateOn) -> None:
    before = arrays(validate_on)
    after = DataArrays.from_dict(before.without_test())
    assert np.array_equal(after.train.inputs, before.train.inputs)
    assert np.array_equal(after.valid.inputs, before.valid.inputs)
    assert after.describe() == before.describe()


@pytest.mark.parametrize("validate_on", ["valid", "train"])
def test_the_test_split_is_not_sent_to_workers(validate_on: ValidateOn) -> None:
    before = arrays(validate_on)
    sent = before.without_test()
    assert not any(shares_memory_with_any(value, before.test) for value in sent.values())
    assert len(DataArrays.from_dict(sent).test) == 0


def test_the_test_split_is_sent_when_it_is_used_for_validation() -> None:
    after = DataArrays.from_dict(arrays("test").without_test())
    assert after.valid is after.test
    assert len(after.test) == 4


def test_no_array_is_sent_twice_when_training_data_is_used_for_validation() -> None:
    before = arrays("train")
    sent = before.without_test()
    assert sum(shares_memory_with_any(value, before.train) for value in sent.values()) == 1
    after = DataArrays.from_dict(sent)
    assert after.valid is after.train


def test_only_plain_values_and_arrays_are_sent() -> None:
    for value in arrays().without_test().values():
        assert isinstance(value, (str, int, float, tuple, np.ndarray))


def test_a_description_holds_the_values_a_run_records() -> None:
    assert arrays().describe() == {
        "name": "small",
        "n_train": 8,
        "n_valid": 3,
        "n_test": 4,
        "n_features": 4,
        "n_classes": 3,
        "image_shape": [2, 2],
        "scale": 0.5,
        "validate_on": "valid",
        "seed": 7,
        "checksum": "abc",
    }


def with_nan(sent: dict[str, Any]) -> None:
    sent["train_inputs"] = np.full((8, 4), np.nan, np.float32)


def with_doubles(sent: dict[str, Any]) -> None:
    sent["valid_inputs"] = np.zeros((3, 4))


def with_other_features(sent: dict[str, Any]) -> None:
    sent["valid_inputs"] = np.zeros((3, 5), np.uint8)


def with_short_labels(sent: dict[str, Any]) -> None:
    sent["train_labels"] = sent["train_labels"][:-1]


def with_an_extra_class(sent: dict[str, Any]) -> None:
    sent["train_labels"] = sent["train_labels"] + 1


def with_no_classes(sent: dict[str, Any]) -> None:
    sent["n_classes"] = None


def with_empty_validation_split(sent: dict[str, Any]) -> None:
    sent["valid_inputs"], sent["valid_labels"] = np.zeros((0, 4), np.uint8), np.zeros(0, np.int64)


def without_an_array(sent: dict[str, Any]) -> None:
    del sent["train_inputs"]


def with_a_list(sent: dict[str, Any]) -> None:
    sent["train_inputs"] = [[1.0]]


def with_an_unknown_key(sent: dict[str, Any]) -> None:
    sent["surprise"] = 1


def with_an_impossible_image_shape(sent: dict[str, Any]) -> None:
    sent["image_shape"] = (3, 2)


def with_a_negative_scale(sent: dict[str, Any]) -> None:
    sent["scale"] = -1.0


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (with_nan, "train inputs must be finite"),
        (with_doubles, "valid inputs must be .* not .3, 4. of float64"),
        (with_other_features, "must have the .4,. features of train, not .5,."),
        (with_short_labels, "train labels must be .8,. of int64"),
        (with_an_extra_class, "labels must lie in 0..2, not in 1..3"),
        (with_no_classes, "labels and n_classes"),
        (with_empty_validation_split, "has 8 and 0"),
        (without_an_array, "train_inputs"),
        (with_a_list, "must come as without_test"),
        (with_an_unknown_key, "surprise"),
        (with_an_impossible_image_shape, "image_shape must multiply to the 4 features of a sample; .3, 2. gives 6"),
        (with_a_negative_scale, "scale must be a positive number, not -1.0"),
    ],
)
def test_arrays_sent_to_a_worker_are_validated_again(damage: Callable[[dict[str, Any]], None], expected: str) -> None:
    sent = arrays().without_test()
    damage(sent)
    with pytest.raises(DatasetError, match=expected):
        DataArrays.from_dict(sent)


def test_all_issues_are_reported_at_once_each_in_one_line() -> None:
    with pytest.raises(DatasetError) as refused:
        arrays(scale=0.0, image_shape=(5, 5))
    assert len(refused.value.issues) == len(str(refused.value).splitlines()) == 2


def test_value_range_is_of_scaled_inputs_in_every_split() -> None:
    extreme = Split(np.array([[0, 0, 0, 200]], np.uint8), np.zeros(1, np.int64))
    assert arrays(test=extreme).value_range() == (0.0, 100.0)


def test_values_outside_the_unit_interval_are_refused_for_cross_entropy() -> None:
    with pytest.raises(DatasetError, match=r"set data\.scale to 0\.010526315789473684 or use loss mse"):
        check_unit_interval(arrays())


def test_values_in_the_unit_interval_are_accepted_for_cross_entropy() -> None:
    check_unit_interval(replace(arrays(), scale=1 / 95))


def test_taking_every_sample_in_order_copies_nothing() -> None:
    samples = make_split(5)
    assert samples.take(np.arange(5)) is samples
