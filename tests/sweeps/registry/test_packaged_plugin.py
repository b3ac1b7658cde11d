"""A plug-in network as a packaged model: for users without its code, and imported only where that is allowed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conv_plugin import SHAPE, raw_images, untrained, write_plugin
from packages import CONFIGS, SCALE, raw_samples, trained

from sweeps import plugin_import
from sweeps.config import SweepConfig
from sweeps.config.plugin_source import plugin_named
from sweeps.datamodules.arrays import DataArrays
from sweeps.errors import InputError
from sweeps.models import saved_network
from sweeps.registry import version_files
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.package_digest import package_digest
from sweeps.registry.package_settings import NETWORK, SETTINGS
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.packaged_plugin import changed_since, plugin_of
from sweeps.registry.packaging import Package
from sweeps.registry.sample_losses import network_predictor
from sweeps.registry.version_files import NO_TRUST, Trust, load_version
from sweeps.tracking.plugin_tags import tags_of

MODULE = "plugin_to_package"
HOSTILE = "from pathlib import Path\nPath('has-run').touch()\n"
_SETTINGS = {"channels": 4, "code_size": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module of a plug-in, and its convolutional network in `model`."""
    folder = tmp_path_factory.mktemp("plugin")
    name = write_plugin(folder, MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        save(name, folder / "model", **_SETTINGS)
    return folder


@pytest.fixture
def name(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The plug-in, importable; the current folder is another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(made)
    return f"{MODULE}:ConvAutoencoder"


@pytest.fixture
def packaged(made: Path, tmp_path: Path) -> Path:
    """A copy of the packaged network."""
    return Path(shutil.copytree(made / "model", tmp_path / "model"))


def save(name: str, folder: Path, train: np.ndarray | None = None, **settings: object) -> Path:
    section, network = untrained(name, train, **settings)
    Package(network, section, SCALE, raw_images(3)).save(folder)
    return folder


def edit_settings(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    plain = json.loads((folder / SETTINGS).read_text())
    edit(plain)
    (folder / SETTINGS).write_text(json.dumps(plain))


def test_a_package_computes_what_the_network_computes_and_so_does_its_export(name: str, tmp_path: Path) -> None:
    section, network = untrained(name, **_SETTINGS)
    Package(network, section, SCALE, raw_images(3)).save(tmp_path / "model")
    model = PackagedModel.load(tmp_path / "model", is_known=True)
    raw = raw_images(1500).astype(np.float32)
    expected = network_predictor(network)(raw * np.float32(SCALE))
    for loaded in (model, model.exported()):
        outputs = loaded.outputs(raw)
        np.testing.assert_allclose(outputs["code"], expected.code, atol=1e-5)
        np.testing.assert_allclose(outputs["reconstruction"] * SCALE, expected.reconstruction, atol=1e-5)


@pytest.mark.parametrize("standardize", ["none", "sample", "feature"])
def test_missing_values_and_standardised_ones_are_part_of_a_package(
    name: str, tmp_path: Path, standardize: str
) -> None:
    train = raw_images(50).astype(np.float32)
    train[::5, ::3] = np.nan
    model = PackagedModel.load(
        save(name, tmp_path / "model", train, standardize=standardize, **_SETTINGS), is_known=True
    )
    assert model.takes_missing
    ours, exported = model.outputs(train), model.exported().outputs(train)
    assert all(np.isfinite(values).all() for values in ours.values())
    for output in ours:
        np.testing.assert_allclose(exported[output], ours[output], atol=1e-4)


def test_it_predicts_in_a_process_without_this_project_and_without_the_plugin(packaged: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "raw.npy", raw_images(5))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = f"""
import sys
for name in ("sweeps", "pytorch_lightning", "ray"):
    sys.modules[name] = None  # importing it raises
import mlflow.pyfunc, numpy
numpy.save("out.npy", mlflow.pyfunc.load_model({str(packaged)!r}).predict(numpy.load("../raw.npy")))
assert not [name for name in sys.modules if name.startswith("plugin_")]
"""
    environment = os.environ | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=elsewhere, env=environment, check=True, timeout=120)
    expected = PackagedModel.load(packaged, is_known=True).predict(raw_images(5).astype(np.float32))
    np.testing.assert_allclose(np.load(elsewhere / "out.npy"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        ("Branching", "torch.export raised"),
        ("OneBatchSize", "torch.export raised"),
        ("OwnOperator", "operators that torch alone does not have: plugin_"),
    ],
)
def test_a_plugin_that_cannot_be_exported_is_refused_in_one_line(
    name: str, tmp_path: Path, plugin: str, words: str
) -> None:
    with pytest.raises(InputError, match=words) as refused:
        save(name.replace("ConvAutoencoder", plugin), tmp_path / "model")
    (line,) = refused.value.issues
    assert "\n" not in line
    assert line.startswith(f"the plug-in {name.partition(':')[0]}:{plugin} must be exportable by torch.export")


def test_the_settings_of_a_built_in_network_name_no_plugin(tmp_path: Path) -> None:
    """Earlier releases refuse settings with a key that they do not know."""
    Package(trained(CONFIGS[1]), CONFIGS[1], SCALE, raw_samples(3)).save(tmp_path / "model")
    assert "plugin" not in json.loads((tmp_path / "model" / SETTINGS).read_text())


def test_the_settings_record_the_source_of_the_plugin(name: str, packaged: Path) -> None:
    section, _ = untrained(name)
    recorded = json.loads((packaged / SETTINGS).read_text())["plugin"]
    known = plugin_of(section)
    assert known is not None
    assert recorded == known.model_dump() == {"name": name, "path": name, "sha256": known.sha256}
    tags = {"sweeps.plugin.model": name, "sweeps.plugin.model.sha256": known.sha256}
    assert changed_since(known, tags) is None
    assert "has changed since the trial was trained" in str(
        changed_since(known, tags | {"sweeps.plugin.model.sha256": "0" * 64})
    )
    assert changed_since(known, {}) is None


def refuses(folder: Path, words: str, plugins: Sequence[str] = (), *, is_known: bool = False) -> str:
    """Check that a package is refused in one line, and that no hostile module was imported."""
    with pytest.raises(InputError, match=words) as refused:
        PackagedModel.load(folder, is_known=is_known, plugins=plugins)
    (line,) = refused.value.issues
    assert "\n" not in line
    assert not Path("has-run").exists()
    return str(line)


def test_a_plugin_of_unknown_files_is_imported_only_if_it_is_named(name: str, packaged: Path) -> None:
    line = refuses(packaged, f"is the plug-in {name}, and its code is imported only if")
    assert "--plugin" in line
    assert "--sha256" in line
    refuses(packaged, "is imported only if", ["other:Network"])
    assert PackagedModel.load(packaged, plugins=[name]).columns["code"] == (64, 67)


def hostile(packaged: Path, folder: Path, new: str) -> None:
    """Make a package name another plug-in, whose module in the current folder is hostile, everywhere."""
    (folder / "hostile_module.py").write_text(HOSTILE)
    edit_settings(packaged, lambda plain: plain["plugin"].update(name=new, path=new))
    content = saved_network.tensor_file.read(packaged / NETWORK, "a network")
    content["model"]["name"] = new
    (packaged / NETWORK).write_bytes(saved_network.tensor_file.dumps(content))


@pytest.mark.parametrize("new", ["hostile_module:Network", "os:system", "antigravity:geohash"])
def test_a_package_that_names_another_module_is_refused_and_imports_nothing(
    name: str, packaged: Path, tmp_path: Path, new: str
) -> None:
    hostile(packaged, tmp_path, new)
    refuses(packaged, "is imported only if")
    refuses(packaged, "is imported only if", [name])
    # Even if the user allows it, the source must be the recorded one, and that is read without running it.
    refuses(packaged, "the source of the plug-in|must be found", [new])
    assert not {"hostile_module", "antigravity"} & sys.modules.keys()


@pytest.mark.usefixtures("name")
def test_a_network_that_names_another_module_than_the_settings_is_refused(packaged: Path, tmp_path: Path) -> None:
    before = json.loads((packaged / SETTINGS).read_text())["plugin"]
    hostile(packaged, tmp_path, "hostile_module:Network")
    edit_settings(packaged, lambda plain: plain.update(plugin=before))
    refuses(packaged, "hostile_module:Network, whose code is run only for a sweep that names it", is_known=True)
    edit_settings(packaged, lambda plain: plain.pop("plugin"))
    refuses(packaged, "hostile_module:Network, whose code is run only for a sweep that names it", is_known=True)


@pytest.mark.usefixtures("name")
def test_a_plugin_in_settings_of_a_built_in_network_is_refused(packaged: Path, tmp_path: Path) -> None:
    Package(trained(CONFIGS[1]), CONFIGS[1], SCALE, raw_samples(3)).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / NETWORK, packaged / NETWORK)
    refuses(packaged, "must describe the network beside it", is_known=True)


@pytest.mark.parametrize("new", ["os", "a\nb:c", "a:b;c", "", "a" * 300, None, 3])
def test_malformed_names_are_refused_by_the_settings(packaged: Path, new: Any) -> None:
    edit_settings(packaged, lambda plain: plain["plugin"].update(path=new))
    refuses(packaged, "must be settings in the format", is_known=True)


def test_an_entry_point_must_lead_to_the_same_class_as_at_the_promotion(
    name: str, packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile(packaged, tmp_path, "convolutional")
    edit_settings(packaged, lambda plain: plain["plugin"].update(path=name))
    refuses(packaged, "is imported only if")
    refuses(packaged, f"must be {name}, as when the model was promoted, and is convolutional here", is_known=True)
    entries = {"convolutional": SimpleNamespace(value="hostile_module:Network")}
    monkeypatch.setattr(plugin_import, "registered", lambda _group: entries)
    refuses(packaged, "and is hostile_module:Network here: install the package that registers it", is_known=True)
    entries["convolutional"].value = name
    assert PackagedModel.load(packaged, is_known=True).is_plugin
    assert PackagedModel.load(packaged, plugins=[name]).is_plugin


def test_another_source_is_refused_with_both_digests(
    name: str, packaged: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = made / f"{MODULE}.py"
    before, source = json.loads((packaged / SETTINGS).read_text())["plugin"]["sha256"], module.read_text()
    module.write_text(source + HOSTILE)
    now = tags_of([plugin_named("model", name)])["sweeps.plugin.model.sha256"]
    for plugins in ([], [name]):
        line = refuses(packaged, "must be the one that was promoted", plugins, is_known=True)
        assert f"(SHA-256 {before})" in line
        assert f"({now})" in line
    module.write_text(source)
    PackagedModel.load(packaged, is_known=True)
    monkeypatch.delitem(sys.modules, MODULE)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(made)])
    refuses(packaged, "must be found, and is not: install its package, or run in its folder", is_known=True)


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_version_is_imported_only_if_its_files_are_known(
    name: str, packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_recorded: bool
) -> None:
    digest, lines = package_digest(packaged), list[str]()
    recorded = digest if is_recorded else None
    monkeypatch.setattr(version_files, "recorded_package_digest", lambda *_: recorded)
    store: Any = SimpleNamespace(uri="sqlite:///mlflow.db", download_version=lambda *_: packaged)
    version: Any = SimpleNamespace(name="conv", version="1")

    def load(trust: Trust = NO_TRUST) -> PackagedModel:
        return load_version(store, version, tmp_path / "files", lines.append, trust)

    if is_recorded:
        assert load().digest == digest
        assert not lines
    else:
        with pytest.raises(InputError, match="is imported only if this SWEEPS_HOME has promoted the version"):
            load()
        with pytest.raises(InputError, match="must have the SHA-256"):
            load(Trust("0" * 64, (name,)))
    assert load(Trust(plugins=(name,))).is_plugin
    assert load(Trust(digest)).is_plugin
    hostile(packaged, tmp_path, "hostile_module:Network")  # swapped files
    with pytest.raises(InputError, match=r"changed since|is imported only if"):
        load()
    with pytest.raises(InputError, match=r"changed since|must have the SHA-256"):
        load(Trust(digest))
    assert not (tmp_path / "has-run").exists()


def test_a_code_size_that_no_setting_decides_is_that_of_the_baseline(
    name: str, small_sweep: Callable[..., SweepConfig], digits_arrays: DataArrays
) -> None:
    config = small_sweep(model={"name": name.replace("ConvAutoencoder", "NoSize"), "units": 5})
    _, network = untrained(config.model.name, units=5)
    assert config.trial.model.code_size is None
    benchmark = Benchmark(config, config.trial, digits_arrays, network.code_size)
    assert benchmark.baseline.name == "PCA with 5 components"
    assert SHAPE.n_features == digits_arrays.n_features
