"""Plug-ins are imported by path or entry point, or refused in one line."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sweeps import plugin_import
from sweeps.plugin_import import NETWORKS, PluginError, import_plugin, names_plugin


def test_import_path_gives_the_object() -> None:
    assert import_plugin("pathlib:Path", NETWORKS) is Path


def test_module_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "networks_of_the_current_folder.py").write_text("class MyNetwork: pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    assert import_plugin("networks_of_the_current_folder:MyNetwork", NETWORKS).__name__ == "MyNetwork"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_package_anywhere:MyNetwork", "no_such_package_anywhere must import, and raised ModuleNotFoundError"),
        ("pathlib:NoSuchName", "pathlib has no NoSuchName: correct the name after the colon"),
        ("pathlib:Path.cwd()", "must be an import path such as my_package.networks:MyNetwork, not"),
        ("pathlib.py:Path", "must name a module, not its file: write pathlib:Path"),
        ("../pathlib:Path", "must be an import path such as my_package.networks:MyNetwork, not"),
    ],
)
def test_bad_name_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(PluginError, match=r"^[^\n]*$") as refused:
        import_plugin(name, NETWORKS)
    assert str(refused.value).startswith(message)


def test_a_module_that_exits_at_import_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_that_exits.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(PluginError, match=r"^module_that_exits must import, and raised SystemExit: 0: install"):
        import_plugin("module_that_exits:MyNetwork", NETWORKS)


def test_a_wrong_entry_point_is_named_with_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"mine": EntryPoint("mine", "my_package.networks", NETWORKS)}
    monkeypatch.setattr(plugin_import, "registered", lambda _group: entries)
    message = "not 'my_package.networks', which the entry point mine of the group autoencoder_sweeps.networks names"
    with pytest.raises(PluginError, match=message):
        import_plugin("mine", NETWORKS)


def test_names_of_built_in_families_are_no_plugins() -> None:
    assert names_plugin("my_package.networks:MyNetwork", NETWORKS)
    assert not names_plugin("shallow", NETWORKS)
    assert not names_plugin(None, NETWORKS)
