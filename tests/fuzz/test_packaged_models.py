"""Packaged models, their exports, and the log and the tags of promotions: read, or refused in lines."""

import io
import json
import os
import shutil
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from damage import Change, changed, changes, edited, edits, leaves, plain_values
from fuzzing import fuzzed, hold
from hypothesis import strategies as st
from memory_registry import MemoryRegistry
from packages import CONFIGS, N_FEATURES, SCALE, raw_samples, trained

from sweeps.cli.display.alias_history import print_history
from sweeps.cli.display.audit import print_audit
from sweeps.datamodules.table_encoding import Column, TableEncoding
from sweeps.errors import InputError, SweepError
from sweeps.registry.audit import Audit, audit
from sweeps.registry.audited_history import AuditedHistory, audited_history
from sweeps.registry.export import check_export
from sweeps.registry.export_grammar import OPERATORS, check_payloads, check_program
from sweeps.registry.package_settings import NETWORK, SETTINGS
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.packaging import EXPORT, Package
from sweeps.storage.layout import storage

CONFIG = CONFIGS[5]
PROGRAM = "model/models/model.json"
PAYLOADS = ("model/data/weights/model_weights_config.json", "model/data/constants/model_constants_config.json")
RUNS = '__import__("os").system("touch has-run")'
names = st.sampled_from(
    ["code", "loader.py", "MLmodel", "autoencoder/more", "autoencoder/settings.json", "autoencoder/network", "a\nb"]
)
kinds = st.sampled_from(["file", "folder", "link", "link to nothing", "link to itself", "fifo"])
# What torch would evaluate, read as a file or run, if the grammar let it through.
texts = st.sampled_from([RUNS, f"Symbol('s0').func({RUNS})", "s0", "Eq(s0, 2)", "../../etc/passwd", "weight_0", "{}"])
operators = st.sampled_from(["torch.ops.aten.from_file.default", *(f"torch.ops.aten.{name}" for name in OPERATORS)])
forms = st.sampled_from(["as_int", "as_expr", "as_tensor", "as_string", "as_graph", "as_operator", "as_custom_obj"])
export_values = plain_values | texts | operators | st.builds(lambda form, body: {form: body}, forms, texts | leaves)
versions = st.sampled_from(["1", "2", "3", "9", "", None]) | leaves
log_values = plain_values | versions | st.sampled_from(["move", "outcome", "promotion", "rollback", "champion"])
tag_names = st.sampled_from(
    [
        *(f"sweeps.history.champion.{number:05d}" for number in range(1, 5)),
        "sweeps.history.champion.x",
        "sweeps.promotion_log",
        "sweeps.gates",
        "sweeps.gate.x",
    ]
)


DEEPS = (100, 600, 900)
deep = st.sampled_from(
    [
        json.loads(opening * depth + "1" + closing * depth)
        for depth in DEEPS
        for opening, closing in (('{"through": ', "}"), ("[", "]"))
    ]
)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of a model of arrays and of a model of a table."""
    numeric = [Column(f"c{number}", "numeric") for number in range(N_FEATURES - 3)]
    columns = (*numeric, Column("kind", "categorical", ("x", "y", "z")))
    table = TableEncoding(columns, "label", tuple("pqrs"), missing="mean", means=(0.5,) * N_FEATURES)
    folders = [tmp_path_factory.mktemp("package") / "model" for _ in range(2)]
    Package(trained(CONFIG), CONFIG, SCALE, raw_samples(3)).save(folders[0])
    shutil.copytree(*folders)
    settings = json.loads((folders[0] / SETTINGS).read_text())
    (folders[1] / SETTINGS).write_text(json.dumps(settings | {"table": table.to_dict()}))
    PackagedModel.load(folders[1])
    return folders


@contextmanager
def copied(package: Path) -> Iterator[Path]:
    """Copy the files that are read, and one that is not."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "model"
        (folder / SETTINGS).parent.mkdir(parents=True)
        for file in (SETTINGS, NETWORK, Path("MLmodel")):
            shutil.copy(package / file, folder / file)
        yield folder


def check_model(folder: Path) -> None:
    def use() -> PackagedModel:
        model = PackagedModel.load(folder)
        assert model.outputs(raw_samples(2)).keys() == model.columns.keys()
        assert len(model.column_names) == sum(end - first for first, end in model.columns.values())
        return model

    assert isinstance(hold(use), PackagedModel | InputError)


def add(path: Path, kind: str) -> None:
    """Put another kind of file in place of what is at a path."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind.startswith("link"):
        path.symlink_to({"link": "/etc/passwd", "link to nothing": "nothing", "link to itself": path.name}[kind])
    else:
        path.write_text(RUNS)


@fuzzed(which=st.integers(0, 1), steps=changes())
def test_any_settings(packages: list[Path], which: int, steps: list[Change]) -> None:
    with copied(packages[which]) as folder:
        settings = json.loads((folder / SETTINGS).read_text())
        (folder / SETTINGS).write_text(json.dumps(changed(settings, steps)))
        check_model(folder)


@fuzzed(which=st.integers(0, 1), damage=edits, of=st.sampled_from([SETTINGS, NETWORK]))
def test_damaged_files(packages: list[Path], which: int, damage: list[tuple[str, int, bytes]], of: Path) -> None:
    with copied(packages[which]) as folder:
        (folder / of).write_bytes(edited((folder / of).read_bytes(), damage))
        check_model(folder)


@fuzzed(entries=st.lists(st.tuples(names, kinds), min_size=1, max_size=4))
def test_any_entries_of_a_folder(packages: list[Path], entries: list[tuple[str, str]]) -> None:
    with copied(packages[0]) as folder:
        for name, kind in entries:
            add(folder / name, kind)
        check_model(folder)


@pytest.fixture(scope="module")
def records(packages: list[Path]) -> Mapping[str, bytes]:
    """The records of an export, by name."""
    with zipfile.ZipFile(packages[0] / EXPORT) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def check_archive(content: bytes) -> None:
    result = hold(lambda: check_export(content, N_FEATURES))
    assert result is None or isinstance(result, InputError)


def texts_of(value: Any) -> Iterator[str]:
    """Yield the texts in JSON values that torch may evaluate: not where a node came from."""
    if isinstance(value, dict):
        yield from value
        for key, part in value.items():
            yield from () if key == "metadata" else texts_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_of(part)
    elif isinstance(value, str):
        yield value


@fuzzed(steps=changes(export_values))
def test_any_program_of_an_export(records: Mapping[str, bytes], steps: list[Change]) -> None:
    program = changed(json.loads(records[PROGRAM]), steps)
    result = hold(lambda: check_program(json.dumps(program).encode()))
    assert result is None or isinstance(result, InputError)
    if result is None:
        found = [text for text in texts_of(program) if "system" in text or "from_file" in text or "/" in text]
        assert not found


@fuzzed(steps=changes(export_values), of=st.sampled_from(PAYLOADS))
def test_any_list_of_tensors_of_an_export(records: Mapping[str, bytes], steps: list[Change], of: str) -> None:
    payloads = changed(json.loads(records[of]), steps)
    result = hold(lambda: check_payloads(json.dumps(payloads).encode()))
    assert result is None or isinstance(result, InputError)


@fuzzed(damage=edits, in_record=st.none() | st.integers(0, 30))
def test_a_damaged_export(
    records: Mapping[str, bytes], packages: list[Path], damage: list[tuple[str, int, bytes]], in_record: int | None
) -> None:
    if in_record is None:
        check_archive(edited((packages[0] / EXPORT).read_bytes(), damage))
        return
    name = sorted(records)[in_record % len(records)]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for record, stored in (dict(records) | {name: edited(records[name], damage)}).items():
            archive.writestr(record, stored)
    check_archive(content.getvalue())


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> tuple[MemoryRegistry, Path]:
    """A registry in which versions 1 and 2 were promoted, and the folder of the log."""
    home = tmp_path_factory.mktemp("home")
    files = tmp_path_factory.mktemp("files")
    (files / "network").write_bytes(b"tensors")
    registry = MemoryRegistry(files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPS_HOME", str(home))
        for number in "12":
            registry.promote(number)
    return registry, home / "promotions"


def check_audit(registry: MemoryRegistry) -> None:
    store: Any = registry
    found = hold(lambda: audit(store, "digits", "champion"))
    assert isinstance(found, Audit | SweepError)
    if isinstance(found, Audit):
        json.dumps(found.to_dict())
        assert_printable(lambda: print_audit("digits", "champion", found))
    history = hold(lambda: audited_history(store, "digits", "champion"))
    assert isinstance(history, AuditedHistory | SweepError)
    if isinstance(history, AuditedHistory):
        json.dumps(history.to_dict())
        assert_printable(lambda: print_history("digits", "champion", history))


def assert_printable(show: Callable[[], None]) -> None:
    with redirect_stdout(io.StringIO()) as printed:
        show()
    controls = {character for character in printed.getvalue() if unicodedata.category(character) in ("Cc", "Cs")}
    assert controls <= {"\n"}


@fuzzed(steps=changes(log_values | deep), number=st.integers(1, 4), damage=st.none() | edits)
def test_any_entry_of_the_log(
    promoted: tuple[MemoryRegistry, Path],
    steps: list[Change],
    number: int,
    damage: list[tuple[str, int, bytes]] | None,
) -> None:
    registry, log = promoted
    folder = storage() / "promotions"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(log, folder)
    path = folder / f"{number:08d}.json"
    content = json.dumps(changed(json.loads(path.read_text()), steps)).encode()
    path.write_bytes(edited(content, damage) if damage else content)
    check_audit(registry)


@fuzzed(
    steps=changes(log_values | deep),
    name=tag_names,
    of=st.sampled_from(["model", "1", "2"]),
    text=st.none() | st.text(max_size=20),
)
def test_any_tag_in_mlflow(
    promoted: tuple[MemoryRegistry, Path], steps: list[Change], name: str, of: str, text: str | None
) -> None:
    registry, log = promoted
    shutil.copytree(log, storage() / "promotions", dirs_exist_ok=True)
    tags = dict(registry.tags)
    versions = {number: dict(found) for number, found in registry.versions.items()}
    edited_tags = tags if of == "model" else versions[of]
    try:
        plain = json.loads(edited_tags.get(name, "{}"))
    except ValueError:
        plain = {}
    edited_tags[name] = json.dumps(changed(plain, steps)) if text is None else text
    check_audit(replace(registry, tags=tags, versions=versions))
