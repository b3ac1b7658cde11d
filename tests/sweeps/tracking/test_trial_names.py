import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config.search_space import parse_range
from sweeps.tracking.trial_names import MAX_CHARACTERS, full_label, label_of, run_name


def test_run_is_named_by_what_differs() -> None:
    point = {"model.hidden_size": 64, "model.weight_l1": 1e-4, "model.noise.level": 0.3}
    assert run_name("0007", point, {}) == "0007 h=64 l1=1e-4 noise=0.3"
    assert run_name("0000", {}, {}) == "0000"


def test_settings_that_differ_come_first_in_a_name() -> None:
    ranges = {
        "model.activation": {"choice": ["relu"]},
        "training.seed": {"grid": [3]},
        "model.hidden_size": {"int": [8, 64]},
    }
    search = {path: parse_range(values) for path, values in ranges.items()}
    point = {"model.activation": "relu", "training.seed": 3, "model.hidden_size": 9}
    assert run_name("0001", point, search) == "0001 h=9 act=relu seed=3"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (0.00123456, "1.23e-3"),
        (-2.5e-7, "-2.5e-7"),
        (12345.0, "1.23e4"),
        (100.0, "100"),
        (1.0, "1"),
        (True, "true"),
        (None, "none"),
        ((512, 128), "512,128"),
        ([0.1, 1e-3], "0.1,1e-3"),
        ("tanh", "tanh"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_value_is_short_in_a_name(value: object, shown: str) -> None:
    assert run_name("0001", {"model.hidden_size": value}, {}) == f"0001 h={shown}"


def test_unknown_path_is_named_by_its_last_part() -> None:
    assert run_name("0001", {"training.momentum": 0.9}, {}) == "0001 momentum=0.9"


def test_paths_with_the_same_last_part_get_different_labels() -> None:
    point = {"training.seed": 1, "data.seed": 2, "model.pretraining.epochs": 3, "training.epochs": 4}
    assert full_label(point, {}) == "training.seed=1 data.seed=2 pretraining.epochs=3 training.epochs=4"


def test_sampled_values_have_two_digits_and_chosen_ones_are_as_written() -> None:
    ranges = {"model.weight_l1": {"loguniform": [1e-6, 1.0]}, "model.noise.level": {"choice": [0.125, 0.5]}}
    search = {path: parse_range(values) for path, values in ranges.items()}
    point = {"model.weight_l1": 1.234e-4, "model.noise.level": 0.125}
    assert run_name("0001", point, search) == "0001 l1=1.2e-4 noise=0.125"
    assert full_label(point, search) == "l1=1.23e-4 noise=0.125"


def test_a_name_that_is_too_long_has_fewer_digits_before_it_leaves_out_settings() -> None:
    paths = ("model.hidden_size", "model.weight_l1", "model.hidden_l1", "model.noise.level", "training.learning_rate")
    search = {path: parse_range({"uniform": [0.0, 100.0]}) for path in paths}
    point = dict(zip(paths, (64, 6.23e-3, 1.12e-4, 0.0721, 0.0123), strict=True))
    four = dict(list(point.items())[:4])
    assert run_name("0000", four, search) == "0000 h=64 l1=6e-3 hl1=1e-4 noise=0.07"
    assert run_name("0000", point, search) == "0000 h=64 l1=6.2e-3 hl1=1.1e-4 …"


@pytest.mark.parametrize(("value", "shown"), [(99.9, "99.9"), (999.9, "1000"), (123.4, "123"), (9999.0, "9999")])
def test_large_values_are_written_without_an_exponent(value: float, shown: str) -> None:
    assert full_label({"model.weight_l1": value}, {}) == f"l1={shown}"


def test_settings_that_do_not_fit_are_left_out_of_a_name_but_not_of_a_label() -> None:
    point = {"model.hidden_sizes": [1000, 500, 250], "model.code_size": 30, "model.noise.level": 0.3, "data.size": 9}
    name = run_name("0012", point, {})
    assert name == "0012 h=1000,500,250 code=30 noise=0.3 …"
    assert label_of(name, "0012", point) == "h=1000,500,250 code=30 noise=0.3 size=9"


def test_label_of_a_trial_without_settings_is_its_name() -> None:
    assert label_of("0000", "0000", {}) == "0000"
    assert label_of("0003 stored name", "0003", {}) == "stored name"


VALUES = st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text("abc", max_size=50))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,9}\.[a-z]{1,9}", fullmatch=True), VALUES, max_size=8))
def test_a_name_fits_starts_with_the_number_and_drops_whole_settings(point: dict[str, object]) -> None:
    name = run_name("0042", point, {})
    assert len(name) <= MAX_CHARACTERS
    shown = name.split(" ")
    whole = ["0042", *full_label(point, {}).split(" ")] if point else ["0042"]
    assert shown == whole or (shown[-1] == "…" and whole[: len(shown) - 1] == shown[:-1])
