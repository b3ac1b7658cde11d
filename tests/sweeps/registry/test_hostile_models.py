"""A registered model runs no code: attacks by someone who may write to the registry, on `score` and `promote`."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.errors import InputError
from sweeps.registry import mlflow_registry, version_files
from sweeps.registry.package_digest import package_digest
from sweeps.registry.promote import promote
from sweeps.registry.promotion import Request
from sweeps.storage.layout import find
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.mlflow.shipper import sync

pytestmark = pytest.mark.slow

# A code that is no bottleneck must beat the training mean, and does after two epochs on digits.
EASY_TO_PASS = {
    "model": {"name": "shallow", "hidden_size": 80, "activation": "elu"},
    "training": {"learning_rate": 0.01, "batch_size": 32, "probe_samples": 0},
    "search": {"training.epochs": {"grid": [2, 6]}},
    "algorithm": {"name": "grid"},
}


@dataclass(frozen=True)
class Registry:
    """A SQLite store with a sweep of two trials, the worse of which is version 1 of `honest`, the champion."""

    home: Path
    sweep: str
    samples: Path

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.home}/mlflow.db")

    @property
    def honest_files(self) -> Path:
        """The files of the champion in the store."""
        version = self.client.get_model_version_by_alias("honest", "champion")
        return Path(
            self.client.get_logged_model(version.source.removeprefix("models:/")).artifact_location.removeprefix(
                "file://"
            )
        )

    def register(self, name: str, files: Path) -> None:
        """Register `files` as the champion of `name`, with the tags of an honest promotion, as MLflow's users may."""
        honest = self.client.get_model_version_by_alias("honest", "champion")
        experiment = self.client.get_run(honest.run_id).info.experiment_id
        logged = self.client.create_logged_model(experiment, name="autoencoder", source_run_id=honest.run_id)
        self.client.log_model_artifacts(logged.model_id, str(files))
        self.client.finalize_logged_model(logged.model_id, "READY")
        self.register_source(name, f"models:/{logged.model_id}")

    def register_source(self, name: str, source: str) -> None:
        """Register a version with any source as the champion of `name`."""
        honest = self.client.get_model_version_by_alias("honest", "champion")
        tags = dict(honest.tags) | {"sweeps.network": "0" * 64}
        self.client.create_registered_model(name)
        version = self.client.create_model_version(name, source, honest.run_id, tags)
        self.client.set_registered_model_alias(name, "champion", version.version)

    def score(self, name: str, *options: str) -> Any:
        out = self.home / f"{name}.npz"
        return CliRunner().invoke(app, ["score", f"{name}@champion", str(self.samples), str(out), *options])

    def promote(self, name: str, *options: str) -> Any:
        return CliRunner().invoke(app, ["promote", self.sweep, "--model", name, "--json", *options])


@pytest.fixture(scope="module")
def made() -> dict[str, Registry]:
    return {}


@pytest.fixture
def registry(
    made: dict[str, Registry],
    tmp_path_factory: pytest.TempPathFactory,
    empty_store: Path,
    small_sweep: Any,
    run_here: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Registry:
    """One registry for all tests of this file: each registers a model of its own name."""
    home = made["one"].home if made else tmp_path_factory.mktemp("registry")
    monkeypatch.setenv("SWEEPS_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    monkeypatch.chdir(home)
    if not made:
        shutil.copy(empty_store, home / "mlflow.db")
        result = run_here(small_sweep(**EASY_TO_PASS))
        folder = find(result.sweep)
        with Journal.open(folder.journal) as journal:
            assert sync(journal, f"sqlite:///{home}/mlflow.db", folder.path, patience_seconds=60).n_undelivered == 0
        promote(result.sweep, "0000", Request("honest", first=True, force=True))
        np.save(home / "in.npy", np.zeros((3, 64), np.uint8))
        made["one"] = Registry(home, result.sweep, home / "in.npy")
    return made["one"]


def with_a_loader_and_code(files: Path, command: str) -> None:
    """MLflow imports the loader of a version from its `code` folder."""
    (files / "code").mkdir()
    (files / "code" / "hostile_loader.py").write_text(f"import os\nos.system({command!r})\n")
    described = yaml.safe_load((files / "MLmodel").read_text())
    described["flavors"]["python_function"] = {"loader_module": "hostile_loader", "code": "code", "env": {}}
    described["flavors"]["pytorch"] = {
        "code": "code",
        "model_data": "data",
        "pytorch_version": described["flavors"]["pytorch"]["pytorch_version"],
    }
    (files / "data" / "model.pt2").unlink()
    (files / "data" / "pickle_module_info.txt").write_text("hostile_loader")
    (files / "data" / "model.pth").write_bytes(b"")
    (files / "MLmodel").write_text(yaml.safe_dump(described))


def with_model_code(files: Path, command: str) -> None:
    """MLflow runs the file that `model_code_path` names."""
    (files / "hostile_code.py").write_text(f"import os\nos.system({command!r})\n")
    described = yaml.safe_load((files / "MLmodel").read_text())
    described["flavors"]["python_function"]["model_code_path"] = "hostile_code.py"
    described["flavors"]["pytorch"]["code"] = None
    (files / "predictor.py").write_text(f"import os\nos.system({command!r})\n")
    (files / "MLmodel").write_text(yaml.safe_dump(described))


def with_an_expression_as_size(files: Path, command: str) -> None:
    """torch evaluates the symbolic sizes of an export with sympy."""

    def evaluate(program: str) -> str:
        expression = f'__import__("os").system({command!r})'
        return program.replace("Symbol('s", f"{json.dumps(expression)[1:-1]} or Symbol('s", 1)

    edit_program(files / "data" / "model.pt2", evaluate)


def edit_program(path: Path, edit: Callable[[str], str]) -> None:
    """Edit the JSON of an exported network."""
    records = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as changed:
        for name in records.namelist():
            content = records.read(name)
            if name.endswith("models/model.json"):
                content = edit(content.decode()).encode()
                assert content != records.read(name)
            changed.writestr(name, content)


def with_code_as_guard(files: Path, command: str) -> None:
    """torch compiles the guards of an export, and runs them with each batch."""

    def guard(program: str) -> str:
        plain = json.loads(program)
        plain["guards_code"] = [f"__import__('os').system({command!r}) == 0"]
        return json.dumps(plain)

    edit_program(files / "data" / "model.pt2", guard)


ATTACKS = [with_a_loader_and_code, with_model_code, with_an_expression_as_size, with_code_as_guard]


@pytest.fixture(params=ATTACKS, ids=lambda attack: attack.__name__)
def hostile(request: pytest.FixtureRequest, registry: Registry, tmp_path: Path) -> tuple[str, Path]:
    """The name of a registered model whose champion tries to write a file, and that file."""
    attack: Callable[[Path, str], None] = request.param
    trace, name = tmp_path / "has-run", f"{request.node.originalname}-{attack.__name__}"[:90]
    shutil.copytree(registry.honest_files, tmp_path / "files")
    attack(tmp_path / "files", f"touch {trace}")
    registry.register(name, tmp_path / "files")
    return name, trace


def test_score_runs_no_code_of_a_version(registry: Registry, hostile: tuple[str, Path]) -> None:
    name, trace = hostile
    done = registry.score(name, "--json")
    assert not trace.exists()
    assert done.exit_code == 0, done.output  # tensors and settings are as they were
    assert json.loads(done.stdout)["sha256_checked"] is False
    assert "could not be checked: it was not promoted from this SWEEPS_HOME" in done.stderr


def test_promote_runs_no_code_of_the_champion(registry: Registry, hostile: tuple[str, Path]) -> None:
    name, trace = hostile
    done = registry.promote(name, "--dry-run")
    assert not trace.exists()
    assert "other" in gate(done, "champion")["numbers"]  # it was loaded and compared
    assert "could not be checked: it was not promoted from this SWEEPS_HOME" in done.stderr


def gate(done: Any, name: str) -> dict[str, Any]:
    """A gate that `promote` printed."""
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = next(gate for gate in json.loads(done.stdout)["gates"] if gate["name"] == name)
    return found


def refused(done: Any, words: str) -> None:
    """A command ended with an error of one line, which has these words and which `sweeps` prints with status 2."""
    assert isinstance(done.exception, InputError), done.output
    (line,) = done.exception.issues
    assert words in line


def test_a_version_from_elsewhere_is_not_read_and_loses_its_alias_only_by_force(
    registry: Registry, tmp_path: Path
) -> None:
    shutil.copytree(registry.honest_files, tmp_path / "model")
    for number, source in enumerate((f"file://{tmp_path}/model", "http://127.0.0.1:1/model", "s3://bucket/model")):
        registry.register_source(f"elsewhere-{number}", source)
        refused(registry.score(f"elsewhere-{number}"), "must be a model that was logged in the same store")
    champion = gate(registry.promote("elsewhere-0"), "champion")
    assert champion["outcome"] == "failed"
    assert "must be a model that was logged in the same store" in champion["sentence"]
    forced = json.loads(registry.promote("elsewhere-0", "--force").stdout)
    assert (forced["verdict"], forced["forced"], forced["replaced"]) == ("promoted", True, "1")


def test_a_logged_model_outside_the_store_is_not_read(registry: Registry, tmp_path: Path) -> None:
    outside = registry.client.create_experiment("outside", tmp_path.as_uri())
    logged = registry.client.create_logged_model(outside, name="autoencoder")
    shutil.copytree(registry.honest_files, Path(logged.artifact_location.removeprefix("file://")))
    registry.client.finalize_logged_model(logged.model_id, "READY")
    registry.register_source("outside", f"models:/{logged.model_id}")
    refused(registry.score("outside"), "must be in a folder of the store")


def changed_champion(registry: Registry, name: str, change: Callable[[Path], None], folder: Path) -> None:
    shutil.copytree(registry.honest_files, folder / "changed")
    registry.register(name, folder / "changed")
    version = registry.client.get_model_version_by_alias(name, "champion")
    logged = registry.client.get_logged_model(version.source.removeprefix("models:/"))
    change(Path(logged.artifact_location.removeprefix("file://")))


def test_a_version_with_a_link_is_not_read(registry: Registry, tmp_path: Path) -> None:
    def link(files: Path) -> None:
        (files / "autoencoder" / "settings.json").rename(tmp_path / "settings.json")
        (files / "autoencoder" / "settings.json").symlink_to(tmp_path / "settings.json")

    changed_champion(registry, "linked", link, tmp_path)
    refused(registry.score("linked"), "must consist of plain files and folders")
    assert "plain files and folders" in gate(registry.promote("linked", "--dry-run"), "champion")["sentence"]


def test_a_version_whose_files_were_changed_since_its_promotion_is_not_opened(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = package_digest(registry.honest_files)
    recorded = {"changed": digest, "honest": digest}
    monkeypatch.setattr(version_files, "recorded_package_digest", lambda _, model, _version: recorded.get(model))
    assert "could not be checked" not in registry.score("honest").stderr

    def append(files: Path) -> None:
        (files / "predictor.py").write_text((files / "predictor.py").read_text() + "\n")
        (files / "autoencoder" / "settings.json").write_text("{}")  # nobody reads it

    changed_champion(registry, "changed", append, tmp_path)
    refused(registry.score("changed"), f"must be the files that were promoted (SHA-256 {digest})")
    champion = gate(registry.promote("changed", "--dry-run"), "champion")
    assert (champion["outcome"], champion["numbers"]) == ("failed", {})
    assert "were changed since" in champion["sentence"]
    advice = json.loads(registry.promote("changed", "--dry-run").stdout)["advice"]
    assert "cannot be loaded: promote its trial again, or add --force" in advice
    assert "would pass" not in advice


def test_a_required_digest_is_compared(registry: Registry) -> None:
    digest = package_digest(registry.honest_files)
    done = registry.score("honest", "--sha256", digest.upper(), "--json")
    plain = json.loads(done.stdout)
    assert (plain["package_sha256"], plain["sha256_checked"]) == (digest, True)
    assert "could not be checked" not in done.stderr
    refused(registry.score("honest", "--sha256", "0" * 64), f"must have the SHA-256 {'0' * 64}, as --sha256 requires")
    for other in ("abc", f"{digest}0", "g" * 64):
        refused(registry.score("honest", "--sha256", other), "must be 64 hexadecimal digits")


def test_a_version_of_an_earlier_release_is_promoted_again(registry: Registry, tmp_path: Path) -> None:
    def as_before(files: Path) -> None:
        shutil.rmtree(files / "autoencoder")

    changed_champion(registry, "old", as_before, tmp_path)
    refused(registry.score("old"), "promote its trial again")
    other = gate(registry.promote("old", "--dry-run"), "champion")
    assert (other["outcome"], "promote its trial again" in other["sentence"]) == ("failed", True)
    honest = registry.client.get_model_version_by_alias("honest", "champion")
    registry.client.set_model_version_tag("old", "1", "sweeps.network", honest.tags["sweeps.network"])
    again = registry.promote("old", "--trial", "0", "--force")
    assert gate(again, "champion")["outcome"] == "not applicable"
    assert "it is packaged again" in gate(again, "champion")["sentence"]
    printed = json.loads(again.stdout)
    assert (printed["verdict"], printed["version"], printed["replaced"]) == ("promoted", "2", "1")
    assert registry.score("old").exit_code == 0


def test_a_changed_version_of_the_same_network_is_replaced_only_by_force(registry: Registry, tmp_path: Path) -> None:
    def garble(files: Path) -> None:
        (files / "autoencoder" / "network").write_bytes(b"")

    changed_champion(registry, "garbled", garble, tmp_path)
    refused(registry.score("garbled"), "autoencoder/network must be the network of a packaged model")
    honest = registry.client.get_model_version_by_alias("honest", "champion")
    registry.client.set_model_version_tag("garbled", "1", "sweeps.network", honest.tags["sweeps.network"])
    assert gate(registry.promote("garbled", "--trial", "0"), "champion")["outcome"] == "failed"


def test_the_digest_of_what_was_judged_is_recorded(registry: Registry) -> None:
    printed = json.loads(registry.promote("digest", "--first").stdout)
    version = registry.client.get_model_version_by_alias("digest", "champion")
    logged = registry.client.get_logged_model(version.source.removeprefix("models:/"))
    digest = package_digest(Path(logged.artifact_location.removeprefix("file://")))
    assert printed["package_sha256"] == version.tags["sweeps.package_sha256"] == digest


def test_a_model_that_someone_else_logged_for_the_run_is_not_the_challenger(registry: Registry, tmp_path: Path) -> None:
    """Its tags say that it is the challenger's network, and it would be found before the challenger's own."""
    honest = registry.client.get_model_version_by_alias("honest", "champion")
    shutil.copytree(registry.honest_files, tmp_path / "files")
    (tmp_path / "files" / "predictor.py").write_text("import os")
    experiment, tags = (
        registry.client.get_run(honest.run_id).info.experiment_id,
        {"sweeps.network": honest.tags["sweeps.network"]},
    )
    planted = registry.client.create_logged_model(
        experiment, name="autoencoder", source_run_id=honest.run_id, tags=tags
    )
    registry.client.log_model_artifacts(planted.model_id, str(tmp_path / "files"))
    registry.client.finalize_logged_model(planted.model_id, "READY")
    json.loads(registry.promote("planted", "--trial", "0", "--first", "--force").stdout)
    version = registry.client.get_model_version_by_alias("planted", "champion")
    assert version.source == honest.source  # the one that was logged from here


def test_a_logged_model_that_was_changed_is_logged_again(registry: Registry) -> None:
    for number, change in enumerate(
        (
            lambda files: (files / "predictor.py").write_text("import os"),
            lambda files: (files / "link").symlink_to("/etc"),
        )
    ):
        json.loads(registry.promote(f"first-{number}", "--first").stdout)
        before = registry.client.get_model_version_by_alias(f"first-{number}", "champion").source
        logged = registry.client.get_logged_model(before.removeprefix("models:/"))
        change(Path(logged.artifact_location.removeprefix("file://")))
        done = registry.promote(f"again-{number}", "--first")
        assert "was changed since it was logged, and is not used; logging it again" in done.stderr
        after = registry.client.get_model_version_by_alias(f"again-{number}", "champion").source
        assert after != before
        (layout_record,) = registry.home.glob("sweeps/*/points/0001/logged-package.json")
        assert json.loads(layout_record.read_text())["model_id"] == after.removeprefix("models:/")
        layout_record.write_text("{")
        assert registry.promote(f"damaged-{number}", "--first").exit_code == 0


def test_a_store_that_returns_other_files_than_it_was_sent_is_refused(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = mlflow_registry.download_files

    def tampered(uri: str, location: str, folder: Path) -> Path:
        files = download(uri, location, folder)
        (files / "predictor.py").write_text("import os")
        return files

    monkeypatch.setattr(mlflow_registry, "download_files", tampered)
    refused(registry.promote("tampered", "--trial", "0", "--first"), "must be those that were sent to MLflow")
