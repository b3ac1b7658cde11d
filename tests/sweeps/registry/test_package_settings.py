"""Settings of a packaged model are plain values of the declared form, or refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.errors import InputError, OutdatedModel
from sweeps.registry import package_settings
from sweeps.registry.package_settings import FORMAT, SETTINGS, read_settings

NUMERIC = {"name": "age", "kind": "numeric"}
CITY = {"name": "city", "kind": "categorical", "categories": ["Oslo"]}
TABLE = {
    "columns": [NUMERIC, CITY],
    "label_column": None,
    "classes": [],
    "drop_columns": [],
    "missing": "mean",
    "means": [0.5, 1],
}
PLAIN: dict[str, Any] = {
    "format": FORMAT,
    "n_features": 2,
    "columns": {"reconstruction": [0, 2], "code": [2, 3], "reconstruction_error": [3, 4]},
    "scale": 0.5,
    "takes_missing": False,
    "table": TABLE,
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Any], Any]:
    def write_and_read(content: Any) -> Any:
        (tmp_path / SETTINGS).parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / SETTINGS).write_text(text)
        return read_settings(tmp_path)

    return write_and_read


def test_settings_are_read_as_written(read: Any) -> None:
    settings = read(PLAIN)
    assert (settings.n_features, settings.scale, settings.columns["code"]) == (2, 0.5, (2, 3))
    assert settings.encoding is not None
    assert settings.encoding.to_dict() == TABLE
    assert read(PLAIN | {"table": None}).encoding is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "autoencoder-sweeps package 2"}, "format"),
        ({"format": None}, "format"),
        ({"loader_module": "os"}, "loader_module"),
        ({"n_features": 0}, "n_features"),
        ({"n_features": "2"}, "n_features"),
        ({"n_features": 2.5}, "n_features"),
        ({"columns": {"code": [-1, 3]}}, "columns.code"),
        ({"columns": {"code": [1, 2, 3]}}, "columns.code"),
        ({"scale": 0}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": float("inf")}, "scale"),
        ({"takes_missing": 1}, "takes_missing"),
        ({"table": TABLE | {"means": [0.5, float("nan")]}}, "table.means"),
        ({"table": TABLE | {"missing": "guess"}}, "table.missing"),
        ({"table": TABLE | {"code": "x"}}, "table.code"),
        ({"table": TABLE | {"columns": [NUMERIC | {"kind": "eval"}]}}, "table.columns.0.kind"),
        ({"table": TABLE | {"columns": [NUMERIC | {"dtype": "object"}]}}, "table.columns.0.dtype"),
        ({"table": TABLE | {"columns": [NUMERIC]}}, "has 1 and 2 means"),
        ({"table": TABLE | {"means": [0.5]}}, "has 2 and 1 means"),
    ],
)
def test_other_settings_are_refused_with_the_key(read: Any, change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        read(PLAIN | change)
    assert "promote the trial again" in str(refused.value)


@pytest.mark.parametrize("key", sorted(PLAIN))
def test_no_setting_may_be_missing(read: Any, key: str) -> None:
    with pytest.raises(InputError, match=key):
        read({name: value for name, value in PLAIN.items() if name != key})


@given(content=st.one_of(st.text(max_size=200), st.just("[" * 100_000), st.just("1" * 5000)))
def test_anything_else_is_refused_in_one_short_line(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / SETTINGS).parent.mkdir()
    (folder / SETTINGS).write_text(content)
    with pytest.raises(InputError) as refused:
        read_settings(folder)
    (line,) = refused.value.issues
    assert len(line) < 1000


def test_a_file_beyond_the_limit_is_not_read(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    n_bytes = len(json.dumps(PLAIN))
    monkeypatch.setattr(package_settings, "MAX_BYTES", n_bytes)
    read(PLAIN)
    monkeypatch.setattr(package_settings, "MAX_BYTES", n_bytes - 1)
    with pytest.raises(InputError, match=f"at most {n_bytes - 1} bytes, and has {n_bytes}"):
        read(PLAIN)


def test_a_file_of_millions_of_unknown_keys_is_refused_before_each_becomes_an_error(read: Any) -> None:
    text = "{" + ",".join(f'"{key}": 1' for key in range(package_settings.MAX_VALUES + 2)) + "}"
    with pytest.raises(InputError, match="at most 400,000 values, and has more"):
        read(text)


def test_a_model_without_settings_is_of_an_earlier_release(tmp_path: Path) -> None:
    with pytest.raises(OutdatedModel, match="promote its trial again"):
        read_settings(tmp_path)
