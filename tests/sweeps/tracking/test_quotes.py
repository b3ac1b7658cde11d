"""Quotes kept on this host, and the correction that their sweeps give."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import SweepConfig
from sweeps.tracking import quotes

RATIOS = st.lists(st.floats(0.1, 10), max_size=40)


@given(RATIOS)
def test_correction_is_the_median_log_ratio_shrunk_to_one(ratios: list[float]) -> None:
    factor = quotes.correction(ratios)
    last = np.log(ratios[-20:])
    expected = math.exp(np.median(last) * len(last) / (len(last) + 2)) if len(last) else 1.0
    assert factor == pytest.approx(expected)
    assert abs(math.log(factor)) <= max([0.0, *map(abs, last)]) + 1e-12


@given(RATIOS)
def test_correction_has_no_preferred_direction(ratios: list[float]) -> None:
    assert quotes.correction([1 / ratio for ratio in ratios]) == pytest.approx(1 / quotes.correction(ratios))


def test_one_odd_sweep_changes_little() -> None:
    assert quotes.correction([1.0] * 10 + [50.0]) == pytest.approx(1.0)


def test_a_quote_is_found_for_its_config_alone_and_its_ratio_is_kept(
    small_sweep: Callable[..., SweepConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path))
    config, other = small_sweep(), small_sweep(name="other")
    assert quotes.find_quote(config) is None
    quotes.save_quote(config, 12.0, 10.0)
    quote = quotes.find_quote(config)
    assert quote is not None
    assert (quote.seconds, quote.uncorrected_seconds) == (12.0, 10.0)
    assert quotes.find_quote(other) is None
    quotes.record_actual(quote, 15.0)
    quotes.record_actual(quote, 5.0)
    assert quotes.recorded_ratios() == [1.5, 0.5]  # of the uncorrected quote: a correction does not correct itself


def test_quotes_of_a_cluster_do_not_correct_those_of_this_machine(
    small_sweep: Callable[..., SweepConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    quotes.save_quote(small_sweep(), 12.0, 10.0)
    quote = quotes.find_quote(small_sweep())
    assert quote is not None
    quotes.record_actual(quote, 30.0)
    assert quotes.recorded_ratios() == [3.0]
    for address in ("local", "", "other:6379"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert quotes.recorded_ratios() == []
        assert quotes.find_quote(small_sweep()) is None


def test_damaged_files_and_other_hosts_are_left_out(
    small_sweep: Callable[..., SweepConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path))
    quotes.save_quote(small_sweep(), 12.0, 10.0)
    quote = quotes.find_quote(small_sweep())
    assert quote is not None
    quotes.record_actual(quote, 20.0)
    with (tmp_path / "quotes" / "actual.jsonl").open("a") as file:
        file.write('not JSON\n{"took": 1}\n{"host": "elsewhere", "cluster": "local", "quoted": 1, "took": 9}\n')
    assert quotes.recorded_ratios() == [2.0]
    (path,) = (tmp_path / "quotes").glob("*.json")
    path.write_text("{")
    assert quotes.find_quote(small_sweep()) is None
