"""The plug-ins that a sweep names, and the files that they consist of."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from importlib import invalidate_caches
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from sweeps.config import SweepConfig
from sweeps.config.plugin_source import NamedPlugin, PluginSource, find_source, plugins_of
from sweeps.plugin_import import DATA, NETWORKS, PluginError

FAST = f"fast{EXTENSION_SUFFIXES[0]}"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Write files into the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def write(files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        invalidate_caches()

    return write


def source_of(name: str) -> PluginSource:
    return find_source(NamedPlugin("data", name, DATA))


def shipped(source: PluginSource) -> list[str]:
    return [name for name, _ in source.files()]


def test_a_sweep_names_its_data_and_its_networks_once() -> None:
    document = {
        "name": "tiles",
        "data": {"name": "my_data:Tiles"},
        "model": {"name": "shallow"},
        "objective": {"metric": "valid/mse"},
    }
    config = SweepConfig.restore(document)
    assert plugins_of(config) == [NamedPlugin("data", "my_data:Tiles", DATA)]
    searched = config.model_copy(update={"search": _choices("shallow", "my:A", "my:B")})
    assert plugins_of(searched)[1:] == [
        NamedPlugin("model", "my:A", NETWORKS),
        NamedPlugin("model_2", "my:B", NETWORKS),
    ]
    assert plugins_of(SweepConfig.restore(document | {"data": {"name": "digits"}})) == []


def _choices(*names: str) -> dict[str, object]:
    from sweeps.config.search_space import parse_range

    return {"model.name": parse_range({"choice": list(names)})}


def test_a_module_comes_with_what_it_imports_from_its_folder(
    write: Callable[[Mapping[str, str]], None], tmp_path: Path
) -> None:
    write({"ps_main.py": "import json\nfrom ps_layers import Layer\nimport numpy", "ps_other.py": ""})
    write({"ps_layers.py": "def f():\n    import ps_deep", "ps_deep.py": "import ps_package.inner"})
    write({"ps_package/__init__.py": "", "ps_package/inner.py": ""})
    source = source_of("ps_main:Tiles")
    assert shipped(source) == [
        "ps_main.py",
        "ps_deep.py",
        "ps_layers.py",
        "ps_package/__init__.py",
        "ps_package/inner.py",
    ]
    assert (source.version, source.is_installed) == (None, False)
    digest = hashlib.sha256()
    for name in shipped(source):
        content = hashlib.sha256((tmp_path / name).read_bytes())
        digest.update(f"{content.hexdigest()} {name!r}\n".encode())
    assert source.sha256() == digest.hexdigest()
    write({"ps_other.py": "changed"})
    assert source_of("ps_main:Tiles").sha256() == digest.hexdigest()
    write({"ps_layers.py": "changed = 1"})
    assert source_of("ps_main:Tiles").sha256() != digest.hexdigest()


def test_a_package_comes_without_caches_and_hidden_files(
    write: Callable[[Mapping[str, str]], None], tmp_path: Path
) -> None:
    write({"ps_own/__init__.py": "", "ps_own/data.py": ""})
    for hidden in (
        "__pycache__/data.cpython-311.pyc",
        ".git/config",
        ".env",
        "table.csv",
        FAST,
    ):
        (tmp_path / "ps_own" / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / "ps_own" / hidden).write_text("x")
    source = source_of("ps_own.data:Tiles")
    assert shipped(source) == [
        "ps_own/__init__.py",
        "ps_own/data.py",
        f"ps_own/{FAST}",
        "ps_own/table.csv",
    ]
    assert source.compiled() == [f"ps_own/{FAST}"]


def test_the_checksum_covers_every_file_that_is_sent(
    write: Callable[[Mapping[str, str]], None], tmp_path: Path
) -> None:
    write({"ps_sum/__init__.py": "", "ps_sum/table.csv": "1", "ps_sum/.env": "1"})
    checksums = [source_of("ps_sum:Tiles").sha256()]
    for sent in ({"ps_sum/table.csv": "2"}, {"ps_sum/key.json": ""}, {"ps_sum/__init__.py": "a = 1"}):
        write(sent)
        checksums.append(source_of("ps_sum:Tiles").sha256())
    (tmp_path / "ps_sum" / "key.json").rename(tmp_path / "ps_sum" / "renamed.json")
    checksums.append(source_of("ps_sum:Tiles").sha256())
    assert len(set(checksums)) == len(checksums)
    write({"ps_sum/.env": "2"})
    assert source_of("ps_sum:Tiles").sha256() == checksums[-1]


def test_folders_that_are_no_packages_are_no_modules_of_a_plugin(
    write: Callable[[Mapping[str, str]], None],
) -> None:
    write({"ps_tracked.py": "import ps_runs\nimport ps_table\nimport ps_runs.inner", "ps_table.py": ""})
    write({"ps_runs/run.log": "", "ps_table/table.csv": "1"})
    assert shipped(source_of("ps_tracked:Tiles")) == ["ps_tracked.py", "ps_table.py"]


@pytest.mark.parametrize("module", ["ps_plain", "ps_plain.data", "ps_half.deep", "ps_half.deep.data"])
def test_the_folders_of_a_plugin_must_be_packages(write: Callable[[Mapping[str, str]], None], module: str) -> None:
    write({"ps_plain/data.py": "", "ps_half/__init__.py": "", "ps_half/deep/data.py": ""})
    folder = "ps_plain" if module.startswith("ps_plain") else "ps_half.deep"
    with pytest.raises(PluginError, match=rf"^{folder} must be a package, and has no __init__\.py: add one$"):
        source_of(f"{module}:Tiles")


def test_an_installed_package_has_its_version_and_comes_alone() -> None:
    source = source_of("yaml.loader:Loader")
    assert source.is_installed
    assert source.version
    assert {entry.name for entry in source.entries} == {"yaml"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_anywhere:Tiles", "no_such_module_anywhere must be found, and is not: install its package"),
        ("__main__:Tiles", "a plug-in must be in a module of its own, not in __main__"),
        ("sys:Tiles", "sys must be found"),
    ],
)
def test_a_module_without_files_is_refused(name: str, message: str) -> None:
    with pytest.raises(PluginError, match=f"^{message}"):
        source_of(name)
