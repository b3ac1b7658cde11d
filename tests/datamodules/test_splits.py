from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.datamodules.arrays import DataArrays, DatasetError, Split
from sweeps.datamodules.config import BlobsConfig, DigitsConfig, SplitConfig
from sweeps.datamodules.splits import Source, checksum, draw_order, split

SEEDS = st.integers(0, 2**32)


def numbered(n_samples: int, n_published: int | None = None) -> Source:
    """Samples with their own number as input and label; the published test set continues the numbering."""

    def samples(start: int, stop: int) -> Split:
        numbers = np.arange(start, stop)
        return Split(numbers.astype(np.float32)[:, None], numbers.astype(np.int64))

    test = None if n_published is None else samples(n_samples, n_samples + n_published)
    return Source("numbered", samples(0, n_samples), test=test, n_classes=n_samples + (n_published or 0))


def numbers(part: Split) -> list[int]:
    assert part.labels is not None
    assert part.inputs[:, 0].tolist() == part.labels.tolist()  # labels stay with their inputs
    return [int(number) for number in part.labels]


def members(arrays: DataArrays) -> tuple[list[int], list[int], list[int]]:
    return numbers(arrays.train), numbers(arrays.valid), numbers(arrays.test)


@given(n_samples=st.integers(3, 300), seed=SEEDS)
def test_default_splits_are_disjoint_and_together_hold_every_sample(n_samples: int, seed: int) -> None:
    train, valid, test = members(split(numbered(n_samples), SplitConfig(seed=seed)))
    assert sorted(train + valid + test) == list(range(n_samples))


@given(data=st.data(), sizes=st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(0, 60)), seed=SEEDS)
def test_splits_have_the_requested_sizes_and_share_no_sample(
    data: st.DataObject, sizes: tuple[int, int, int], seed: int
) -> None:
    n_samples = data.draw(st.integers(sum(sizes), 200))
    config = SplitConfig(n_train=sizes[0], n_valid=sizes[1], n_test=sizes[2], seed=seed)
    parts = members(split(numbered(n_samples), config))
    assert tuple(map(len, parts)) == sizes
    assert len(set(parts[0] + parts[1] + parts[2])) == sum(sizes)


@given(seed=SEEDS)
def test_the_same_seed_draws_the_same_splits(seed: int) -> None:
    config = SplitConfig(seed=seed)
    assert members(split(numbered(100), config)) == members(split(numbered(100), config))


@given(seed=SEEDS)
def test_another_seed_draws_other_splits(seed: int) -> None:
    first, second = (split(numbered(100), SplitConfig(seed=value)) for value in (seed, seed + 1))
    assert numbers(first.train) != numbers(second.train)


def test_the_order_drawn_by_a_seed_never_changes() -> None:
    # Pinned: a change here changes what every recorded seed means.
    assert draw_order(10, seed=0).tolist() == [3, 2, 1, 8, 6, 0, 7, 4, 5, 9]


def test_a_smaller_training_split_is_a_subset_of_a_larger_one_and_leaves_the_others_unchanged() -> None:
    few, many = (split(numbered(100), SplitConfig(n_train=n, n_valid=10, n_test=20)) for n in (5, 50))
    assert set(numbers(few.train)) < set(numbers(many.train))
    assert numbers(few.valid) == numbers(many.valid)
    assert numbers(few.test) == numbers(many.test)


def test_defaults_are_a_fifth_for_test_and_a_sixth_of_the_rest_for_valid() -> None:
    sizes = tuple(map(len, members(split(numbered(1797), SplitConfig()))))
    assert sizes == (1199, 239, 359)


def test_a_published_test_set_is_the_test_split_and_the_rest_is_not_reduced() -> None:
    train, valid, test = members(split(numbered(60, n_published=10), SplitConfig()))
    assert test == list(range(60, 70))
    assert sorted(train + valid) == list(range(60))
    assert len(valid) == 10


def test_a_smaller_n_test_is_a_subset_of_the_published_test_set() -> None:
    _, _, test = members(split(numbered(60, n_published=10), SplitConfig(n_test=4)))
    assert len(test) == 4
    assert set(test) < set(range(60, 70))


@pytest.mark.parametrize("validate_on", ["train", "test"])
def test_validating_on_another_split_reuses_it_and_holds_out_no_samples(validate_on: Any) -> None:
    arrays = split(numbered(50), SplitConfig(validate_on=validate_on, n_test=10))
    assert arrays.valid is getattr(arrays, validate_on)
    assert len(arrays.train) == 40


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (DigitsConfig(validate_on="train", n_valid=5), "n_valid 5: remove it, or set validate_on to valid"),
        (DigitsConfig(validate_on="test", n_test=0), "set data.n_test to 1 or more"),
        (DigitsConfig(n_train=90), "n_train 90 + n_valid 13 (by default) + n_test 20 (by default) were asked for"),
        (DigitsConfig(n_valid=100, n_test=0), "n_train 1 (minimum) + n_valid 100 were asked for"),
        (DigitsConfig(n_test=101), "100 samples to divide"),
        (BlobsConfig(n_train=101), "n_train 101 were asked for"),
    ],
)
def test_impossible_sizes_are_refused_in_one_line(config: SplitConfig, expected: str) -> None:
    with pytest.raises(DatasetError) as refused:
        split(numbered(100), config)
    assert expected in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_more_test_samples_than_published_are_refused() -> None:
    with pytest.raises(DatasetError, match="at most the 10 samples of numbered's published test set, not 11"):
        split(numbered(60, n_published=10), SplitConfig(n_test=11))


def test_one_sample_is_too_few_for_two_splits() -> None:
    with pytest.raises(DatasetError, match="has 1 samples to divide"):
        split(numbered(1), SplitConfig())


def test_checksum_covers_inputs_labels_and_the_published_test_set() -> None:
    changed = [numbered(20, 5) for _ in range(4)]
    changed[1].samples.inputs[3] += 1
    assert changed[2].samples.labels is not None
    changed[2].samples.labels[3] += 1
    assert changed[3].test is not None
    changed[3].test.inputs[0] += 1
    assert len({checksum(source) for source in changed}) == 4


def test_checksum_does_not_depend_on_the_layout_in_memory() -> None:
    inputs = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert checksum(Source("a", Split(inputs))) == checksum(Source("b", Split(np.asfortranarray(inputs))))


def test_checksum_does_not_depend_on_the_split() -> None:
    assert split(numbered(30), SplitConfig(seed=1)).checksum == split(numbered(30), SplitConfig(n_test=3)).checksum
