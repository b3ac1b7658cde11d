"""The code of plug-ins is copied for other hosts, or refused in one line."""

import logging
import sys
from importlib import invalidate_caches
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from sweeps.cluster import plugin_shipment
from sweeps.cluster.jobs.runtime_env import job_files
from sweeps.cluster.plugin_shipment import copy_sources, network_sources, search_folders
from sweeps.config import SweepConfig
from sweeps.config.plugin_source import PluginSource, plugin_named, source_of
from sweeps.errors import ClusterError, ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a package, and a module that imports it."""
    code = tmp_path / "code"
    (code / "shipped_package").mkdir(parents=True)
    (code / "shipped_package" / "__init__.py").write_text("SIZE = 3\n")
    (code / "shipped_module.py").write_text("import shipped_package\n")
    monkeypatch.chdir(code)
    monkeypatch.setattr(sys, "path", [str(code), *sys.path])
    invalidate_caches()
    return code


def source() -> PluginSource:
    return source_of(plugin_named("data", "shipped_module:Tiles"))


def test_modules_are_copied_with_what_they_import(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    assert [path.name for path in copy_sources([source(), source()], target)] == [
        "shipped_module.py",
        "shipped_package",
    ]
    assert (target / "shipped_package" / "__init__.py").read_text() == "SIZE = 3\n"
    assert search_folders([source()]) == [str(folder)]


def test_compiled_code_of_a_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "shipped_package" / f"fast{EXTENSION_SUFFIXES[0]}").write_text("x")
    with pytest.raises(ClusterError, match=r"^the plug-in shipped_module:Tiles must be Python source .* compiled mod"):
        copy_sources([source()], tmp_path)


def test_large_code_of_a_folder_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_shipment, "MAX_BYTES", 2**20)
    (folder / "shipped_package" / "table.npy").write_bytes(bytes(2**21))
    message = r"at most 1 MiB to be sent, and has 2\.0 MiB, of which shipped_package/table\.npy has 2\.0: install it"
    with pytest.raises(ClusterError, match=message):
        copy_sources([source()], tmp_path)


def test_an_installed_package_with_compiled_code_must_be_on_the_cluster(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert copy_sources([source_of(plugin_named("data", "yaml.loader:Loader"))], tmp_path) == []
    (line,) = caplog.messages
    assert "is not sent, as it has compiled modules (yaml/" in line
    assert "the cluster must have its package installed" in line


def test_workers_get_networks_alone_and_a_job_gets_all(folder: Path) -> None:
    config = SweepConfig.restore(
        {
            "name": "tiles",
            "data": {"name": "shipped_module:Tiles"},
            "model": {"name": "shallow"},
            "objective": {"metric": "valid/mse"},
        }
    )
    assert network_sources(config) == []
    with job_files(config) as files:
        assert (files.working_folder / "shipped_module.py").read_text() == (folder / "shipped_module.py").read_text()
        assert files.plugin_tags["sweeps.plugin.data"] == "shipped_module:Tiles"
    gone = config.model_copy(update={"data": config.data.model_copy(update={"name": "gone_since:Tiles"})})
    with pytest.raises(ConfigError, match=r"^data\.name: gone_since must be found"), job_files(gone):
        pass
