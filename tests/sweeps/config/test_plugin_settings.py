"""The settings of plug-in data sets in sweep files: checked by the plug-in, and read back without it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.config import SweepConfig, load
from sweeps.config.explain import explain
from sweeps.config.plugin_settings import path_settings
from sweeps.config.sweep import json_schema
from sweeps.errors import ConfigError

MODULE = """
from pathlib import Path
from typing import Literal
from pydantic import Field
from sweeps.plugins import DataSettings, Samples


class TilesSettings(DataSettings):
    size: int = Field(8, gt=0, description="Pixels of a side.")
    colours: tuple[Literal["red", "green"], ...] = Field((), description="Colours.")
    folder: Path | None = Field(None, description="Where the tiles are.")
    files: list[Path] = Field([], description="Files of tiles.")
    pair: tuple[Path, ...] | None = Field(None, description="Two files of tiles.")
    path: str = Field("s3://bucket/tiles", description="No file of this machine.")


def tiles(settings: TilesSettings) -> Samples:
    raise AssertionError("not called to check a file")
"""
NAME = "tiles_of_a_sweep_file:tiles"


@pytest.fixture(autouse=True)
def _tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiles_of_a_sweep_file.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def written(sweep_file: Path) -> Callable[..., SweepConfig]:
    return lambda *overrides: load(sweep_file, [f"data={{name: '{NAME}'}}", *overrides])


def test_a_plugin_and_its_settings_are_kept_as_written(written: Callable[..., SweepConfig]) -> None:
    config = written("data.size=5", "data.colours=[red]", "data.n_test=7")
    assert config.to_dict()["data"] == {"name": NAME, "size": 5, "colours": ["red"], "n_test": 7}
    assert SweepConfig.from_dict(config.to_dict()) == config
    assert config.trial_at({}).data == config.data


@pytest.mark.parametrize(
    ("override", "issue"),
    [
        ("data.siz=3", "data.siz is not a setting. Did you mean data.size?"),
        ("data.size=0", "data.size must be above 0, not 0"),
        ("data.size=3.5", "data.size must be a whole number, not 3.5"),
        ("data.colours=[red, blue]", "data.colours.1 must be 'red' or 'green', not \"blue\""),
        ("data.n_train=0", "data.n_train must be above 0, not 0"),
        ("data.subset=full", f"data.subset is a setting of blobs only, and data.name is {NAME}: remove it, or set"),
        ("data.name=tiles_of_a_sweep_file:tile", "data.name: tiles_of_a_sweep_file has no tile: correct the name"),
        (
            "data.name=no_such_module_here:tiles",
            "data.name: no_such_module_here must import, and raised ModuleNotFound",
        ),
        (
            "data.name=digitz",
            "data.name must be one of array, blobs, digits, fashion_mnist, mnist, normal, rows, table",
        ),
        ("search.data.size={grid: [1, 2]}", "search.data.size must not be searched, because all trials share the data"),
    ],
)
def test_each_issue_is_one_line(written: Callable[..., SweepConfig], override: str, issue: str) -> None:
    with pytest.raises(ConfigError) as refused:
        written(override)
    (line,) = refused.value.issues
    assert line.startswith(issue)


def test_a_recorded_sweep_is_read_without_its_data_plugin() -> None:
    document = {
        "name": "tiles",
        "data": {"name": "gone_since:Tiles", "size": 5, "n_test": 7},
        "model": {"name": "shallow"},
        "objective": {"metric": "valid/mse"},
    }
    restored = SweepConfig.restore(document)
    assert restored.to_dict() == document
    assert restored.trial.data.n_test == 7
    assert SweepConfig.restore(document | {"data": {"name": "entry-point"}}).data.name == "entry-point"


def test_a_sweep_written_in_python_takes_the_section_of_another_with_all_settings(
    written: Callable[..., SweepConfig],
) -> None:
    config = written("data.size=6", "data.colours=[red]")
    again = sweep_in_python(config)
    assert again.to_dict()["data"] == config.to_dict()["data"]
    assert again.data == config.data
    restored = sweep_in_python(SweepConfig.restore(config.to_dict()))
    assert restored.to_dict()["data"] == config.to_dict()["data"]


def sweep_in_python(config: SweepConfig) -> SweepConfig:
    return SweepConfig(name="again", data=config.data, model=config.model, objective={"metric": "valid/mse"})


def test_only_settings_that_are_paths_become_absolute(written: Callable[..., SweepConfig], tmp_path: Path) -> None:
    data = written("data.folder=tiles", "data.path=s3://other/tiles").to_dict()["data"]
    assert data["folder"] == str(tmp_path / "tiles")
    assert data["path"] == "s3://other/tiles"
    assert path_settings({"name": NAME}) == ["folder", "files", "pair"]
    assert path_settings({"name": "array"}) == ["path", "labels_path"]


def test_each_path_of_a_list_becomes_absolute(written: Callable[..., SweepConfig], tmp_path: Path) -> None:
    config = written("data.files=[a.npy, sub/b.npy, /shared/c.npy]", "data.pair=[d.npy]")
    data = config.to_dict()["data"]
    assert data["files"] == [str(tmp_path / "a.npy"), str(tmp_path / "sub/b.npy"), "/shared/c.npy"]
    assert data["pair"] == [str(tmp_path / "d.npy")]
    with pytest.raises(ConfigError, match=r"data\.files\.1 must be"):
        written("data.files=[a.npy, 3]")


def test_an_editor_accepts_the_settings_of_a_plugin() -> None:
    kinds = json_schema()["properties"]["data"]["oneOf"]
    plugin = json_schema()["$defs"][kinds[-1]["$ref"].rpartition("/")[2]]
    assert plugin["additionalProperties"] is True
    assert "digits" in plugin["properties"]["name"]["not"]["enum"]


def test_a_sweep_file_explains_the_settings_of_its_plugin() -> None:
    document = {"data": {"name": NAME}}
    explanation = explain("data", document)
    assert explanation.kinds.keys() == {NAME}
    assert {"data.size", "data.n_test"} <= {setting.path for setting in explanation.settings}
    (meaning,) = explain("data.size", document).meanings
    assert (meaning.description, meaning.range, meaning.default) == ("Pixels of a side.", "above 0", 8)
