"""Plug-in data sets are loaded, checked as a user's own files are, and refused in one line."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from sweeps.datamodules.arrays import DataArrays, DatasetError
from sweeps.datamodules.build import load_arrays
from sweeps.datamodules.config import PluginDataConfig
from sweeps.datamodules.plugin_config import DataSettings
from sweeps.plugins import Samples, check_data

N = 60
INPUTS = np.random.default_rng(0).random((N, 4), dtype=np.float32)
LABELS = np.arange(N) % 3
returned: list[Any] = []


class TilesSettings(DataSettings):
    size: int = 4
    folder: Path = Path("x")


class Tiles:
    Settings = TilesSettings

    def load(self, settings: TilesSettings) -> Samples:
        images = np.random.default_rng(settings.seed).random((N, settings.size, settings.size))
        return Samples(images, LABELS, scale=0.5)


class DescribedSettings(DataSettings):
    size: int = Field(4, description="Pixels of a side.")


def described(_settings: DescribedSettings) -> Samples:
    return Samples(INPUTS)


class FewTestsSettings(DataSettings):
    n_test: int | None = 3


def few_tests(_settings: FewTestsSettings) -> Samples:
    return Samples(INPUTS)


def anything(_settings: DataSettings) -> Any:
    value = returned[-1]
    if isinstance(value, BaseException):
        raise value
    return value


def two_arguments(_settings: DataSettings, _other: int) -> Samples:
    return Samples(INPUTS)


class NotSettings:
    Settings = dict

    def load(self, settings: Any) -> Samples:
        return Samples(INPUTS)


class NeedsArguments:
    def __init__(self, folder: str) -> None: ...


class LightningDataModule: ...


class OwnModule(LightningDataModule): ...


n_loads = 0


def another_each_time(_settings: DataSettings) -> Samples:
    global n_loads
    n_loads += 1
    return Samples(INPUTS + n_loads)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return the import path of a name in this module."""
    import sys

    monkeypatch.setitem(sys.modules, "plugin_under_test", sys.modules[__name__])
    return lambda name: f"plugin_under_test:{name}"


def load(name: str, **settings: Any) -> DataArrays:
    return load_arrays(PluginDataConfig(name=name, **settings))


def test_a_class_loads_by_its_settings(named: Callable[[str], str]) -> None:
    arrays = load(named("Tiles"), size=6, n_test=10, seed=5)
    assert (arrays.name, arrays.n_features, arrays.image_shape, arrays.scale) == ("Tiles", 36, (6, 6), 0.5)
    assert (len(arrays.test), arrays.n_classes, arrays.seed) == (10, 3, 5)
    expected = np.random.default_rng(5).random((N, 36)).astype(np.float32)
    drawn = np.concatenate([part.inputs for part in (arrays.train, arrays.valid, arrays.test)])
    np.testing.assert_array_equal(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])


def test_a_function_names_its_settings_by_its_annotation_and_their_defaults_hold(named: Callable[[str], str]) -> None:
    assert len(load(named("few_tests")).test) == 3
    assert len(load(named("few_tests"), n_test=7).test) == 7


def test_an_own_test_set_is_the_test_split(named: Callable[[str], str]) -> None:
    returned.append(Samples(INPUTS, LABELS, test_inputs=INPUTS[:5] + 1, test_labels=np.arange(5), name="own"))
    arrays = load(named("anything"))
    assert (len(arrays.train) + len(arrays.valid), len(arrays.test), arrays.n_classes) == (N, 5, 5)
    assert (arrays.test.inputs >= 1).all()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (INPUTS, "must return sweeps.plugins.Samples, not ndarray: wrap its arrays"),
        (None, "must return sweeps.plugins.Samples, not NoneType"),
        (ValueError("no\nfiles"), "must load, and raised ValueError: no files (test_plugin_data.py, line "),
        (SystemExit(3), "must load, and raised SystemExit: 3"),
        (DatasetError("tiles must be there: copy them"), "must load, and raised tiles must be there: copy them"),
        (Samples([[1.0], [1.0, 2.0]]), "must be an array, and cannot be made one"),
        (Samples(INPUTS[0]), "must hold inputs of shape (samples, features...)"),
        (Samples(INPUTS.astype(str)), "must hold real numbers as inputs"),
        (Samples(INPUTS * np.nan), "must hold finite numbers"),
        (Samples(INPUTS, LABELS[1:]), "labels must be one number a sample, of shape (60,)"),
        (Samples(INPUTS, LABELS - 1), "labels must count classes from 0"),
        (Samples(INPUTS, LABELS / 2), "labels must be integers"),
        (Samples(INPUTS, test_labels=LABELS), "must not have test_labels without test_inputs"),
        (Samples(INPUTS, LABELS, test_inputs=INPUTS), "must have both labels and test_labels, or neither"),
        (Samples(INPUTS, test_inputs=INPUTS[:, :3]), "must have samples of shape (4,), not (3,)"),
        (Samples(INPUTS, test_inputs=np.ones((9, 4), np.uint8)), "must be float32 as its inputs are, not uint8"),
        (Samples(INPUTS, LABELS, INPUTS, LABELS[:3]), "must be one number a test sample, of shape (60,), not (3,)"),
        (Samples(INPUTS, scale=-1), "must be a positive number, not -1"),
        (Samples(INPUTS, image_shape=(4,)), "must be (height, width), (height, width, 3) or (3, height, width)"),
        (Samples(INPUTS, image_shape=(3, 3)), "image_shape must multiply to the 4 features"),
    ],
)
def test_what_breaks_the_contract_is_refused_in_one_line(
    named: Callable[[str], str], value: object, message: str
) -> None:
    returned.append(value)
    with pytest.raises(DatasetError) as refused:
        load(named("anything"))
    (line,) = refused.value.issues
    assert message in line


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two_arguments", "must load by one argument, its settings, and takes 2"),
        ("NotSettings", "must be a subclass of sweeps.plugins.DataSettings"),
        ("NeedsArguments", "must be created without arguments, and raised TypeError"),
        ("OwnModule", "is a LightningDataModule, which yields batches: write a function that returns"),
        ("N", "must be a function of its settings, or a class with a method load(settings), not 60"),
        ("Missing", "has no Missing: correct the name after the colon"),
    ],
)
def test_a_plugin_of_another_form_is_refused(named: Callable[[str], str], name: str, message: str) -> None:
    with pytest.raises(DatasetError) as refused:
        load(named(name))
    (line,) = refused.value.issues
    assert line.startswith("data.name: ")
    assert message in line


def test_settings_that_the_plugin_refuses_are_named(named: Callable[[str], str]) -> None:
    with pytest.raises(DatasetError) as refused:
        load(named("Tiles"), size="six", colour=True)
    assert sorted(issue.partition(":")[0] for issue in refused.value.issues) == ["data.colour", "data.size"]


@given(
    n_samples=st.integers(3, 40),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    kind=st.sampled_from([np.uint8, np.float32, np.float64, np.int16, bool]),
)
def test_samples_keep_their_values_and_order(n_samples: int, shape: list[int], kind: type) -> None:
    import sys

    sys.modules["plugin_under_test"] = sys.modules[__name__]
    inputs = (np.random.default_rng(0).random((n_samples, *shape)) * 50).astype(kind)
    returned.append(Samples(inputs))
    arrays = load("plugin_under_test:anything", n_test=0, n_valid=1)
    assert arrays.train.inputs.dtype == (np.uint8 if kind in (np.uint8, bool) else np.float32)
    flat = inputs.reshape(n_samples, -1).astype(np.float32)
    rows = [tuple(row) for row in np.concatenate([arrays.train.inputs, arrays.valid.inputs]).astype(np.float32)]
    assert sorted(rows) == sorted(tuple(row) for row in flat)
    kept = [tuple(row) for row in flat if tuple(row) in {tuple(row) for row in arrays.train.inputs.astype(np.float32)}]
    assert len(kept) >= len(arrays.train)


def test_a_good_plugin_passes_its_contract_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "described_data.py").write_text(
        textwrap.dedent("""
        import numpy as np
        from pydantic import Field
        from sweeps.plugins import DataSettings, Samples

        class Settings(DataSettings):
            size: int = Field(3, description="Pixels of a side.")

        def tiles(settings: Settings) -> Samples:
            return Samples(np.ones((20, settings.size, settings.size)), np.arange(20) % 2)
        """)
    )
    monkeypatch.chdir(tmp_path)
    checks = check_data("described_data:tiles", size=4)
    assert [check.status for check in checks] == ["passed"] * 6, checks
    assert "of 16 features (float32), images of shape (4, 4)" in checks[3].detail


def test_the_contract_test_finds_what_is_wrong_and_skips_the_rest(named: Callable[[str], str]) -> None:
    statuses = {name: [check.status for check in check_data(named(name))] for name in ("Tiles", "another_each_time")}
    assert statuses["Tiles"] == ["passed", "failed", *["skipped"] * 4]
    assert statuses["another_each_time"] == [*["passed"] * 4, "failed", "skipped"]
    assert check_data("no_such_module:tiles")[0].status == "failed"


@pytest.mark.parametrize(
    ("settings", "detail"),
    [
        ({"n_test": -1}, "data.n_test: Input should be greater than or equal to 0"),
        ({"size": "six"}, "data.size: Input should be a valid integer"),
        ({"name": "other"}, "name must not be one of the settings"),
    ],
)
def test_the_contract_test_refuses_settings_in_one_line(
    named: Callable[[str], str], settings: dict[str, Any], detail: str
) -> None:
    checks = {check.name: check for check in check_data(named("described"), **settings)}
    refused = checks["its settings are valid"]
    assert refused.status == "failed"
    assert refused.detail.startswith(detail)
    assert "\n" not in refused.detail
    assert checks["it loads"].status == "skipped"
