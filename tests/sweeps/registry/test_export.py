"""Exports of our own networks load; an export with any other string, operator, key, record or pickle is refused."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packages import CONFIGS, N_FEATURES, SCALE, raw_samples, trained

from sweeps.errors import InputError
from sweeps.models.config import Activation, DeepConfig, ModelConfig, ShallowConfig
from sweeps.registry.export import check_export, load_export
from sweeps.registry.export_grammar import check_payloads, check_program
from sweeps.registry.packaging import EXPORT, Package

PROGRAM = "model/models/model.json"
EXAMPLE = "model/data/sample_inputs/model.pt"
WEIGHTS = "model/data/weights/model_weights_config.json"
CONSTANTS = "model/data/constants/model_constants_config.json"
TOUCH = '__import__("os").system("touch has-run")'


@pytest.fixture(scope="session")
def records(package) -> Mapping[str, bytes]:
    """The records of an export, by name."""
    with zipfile.ZipFile(package(CONFIGS[5])[1].folder / EXPORT) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(records: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    return content.getvalue()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_the_export_of_each_family_loads_and_computes_what_the_package_computes(package, config: ModelConfig) -> None:
    _, packaged = package(config)
    raw = raw_samples(7).astype(np.float32)
    np.testing.assert_allclose(packaged.exported().predict(raw), packaged.predict(raw), atol=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        *(
            DeepConfig(hidden_sizes=(8,), code_size=3, activation=name, code_activation=name)
            for name in get_args(Activation)
        ),
        *(ShallowConfig(hidden_size=5, standardize=how) for how in ("none", "sample", "feature")),
    ],
    ids=lambda config: f"{config.name}-{config.activation}-{config.standardize}",
)
def test_each_activation_and_missing_values_are_part_of_the_grammar(config: ModelConfig, tmp_path: Path) -> None:
    raw = raw_samples(9).astype(np.float32)
    if config.name == "shallow":
        raw[np.random.default_rng(0).random(raw.shape) < 0.3] = np.nan
    Package(trained(config, raw), config, SCALE, raw).save(tmp_path / "model")
    check_export((tmp_path / "model" / EXPORT).read_bytes(), N_FEATURES)


def refuses(records: Mapping[str, bytes], words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        check_export(packed(records), N_FEATURES)
    assert len(refused.value.issues) == 1


def test_the_records_packed_again_still_pass(records: Mapping[str, bytes]) -> None:
    check_export(packed(records), N_FEATURES)


def edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    plain = json.loads(content)
    edit(plain)
    return json.dumps(plain).encode()


EDITS: dict[str, Callable[[Any], None]] = {
    "a guard": lambda p: p["guards_code"].append(TOUCH),
    "a guard by name": lambda p: p.update(guards_code={"x": TOUCH}),
    "a verifier": lambda p: p.update(verifiers=["os.system"]),
    "an operator": lambda p: node(p).update(target="torch.ops.aten.from_file.default"),
    "a function of torch": lambda p: node(p).update(target="torch.load"),
    "an extension": lambda p: node(p).update(target="#os:system"),
    "two operators": lambda p: node(p).update(target="torch.ops.aten.relu.default\n"),
    "a name": lambda p: node(p).update(name="x = 1; import os #"),
    "an argument's name": lambda p: node(p)["inputs"][0].update(name="self, x=1"),
    "an operator as argument": lambda p: node(p)["inputs"][0].update(arg={"as_operator": "torch.load"}),
    "a string as argument": lambda p: node(p)["inputs"][0].update(arg={"as_string": "x"}),
    "a graph as argument": lambda p: node(p)["inputs"][0].update(arg={"as_graph": {}}),
    "a tensor's name": lambda p: node(p)["inputs"][0].update(arg={"as_tensor": {"name": "a.b"}}),
    "tensors' names": lambda p: node(p)["inputs"][0].update(arg={"as_tensors": [{"name": "a;b"}]}),
    "an output's name": lambda p: node(p)["outputs"][0]["as_tensor"].update(name="a b"),
    "custom metadata": lambda p: node(p)["metadata"].update(custom="{}"),
    "source functions": lambda p: node(p)["metadata"].update(source_fn_stack="x,torch.load"),
    "a higher-order operator": lambda p: node(p).update(is_hop_single_tensor_return=True),
    "an expression": lambda p: size(p).update(expr_str=TOUCH),
    "an expression before": lambda p: size(p).update(expr_str=f"{TOUCH} or {size(p)['expr_str']}"),
    "an expression after": lambda p: size(p).update(expr_str=f"{size(p)['expr_str']}\n+{TOUCH}"),
    "a line break": lambda p: size(p).update(expr_str=f"{size(p)['expr_str']}\n"),
    "a hint": lambda p: size(p).update(hint={"as_str": "2"}),
    "a device": lambda p: tensor(p)["device"].update(type="cuda"),
    "a stride": lambda p: tensor(p)["strides"].append({"as_expr": {"expr_str": TOUCH, "hint": None}}),
    "an offset": lambda p: tensor(p).update(storage_offset={"as_expr": {"expr_str": TOUCH, "hint": None}}),
    "a symbolic integer": lambda p: graph(p)["sym_int_values"].update(s1={"as_expr": {"expr_str": TOUCH}}),
    "a symbolic boolean": lambda p: graph(p)["sym_bool_values"].update(s1={"as_expr": {"expr_str": TOUCH}}),
    "a symbolic float": lambda p: graph(p)["sym_float_values"].update(s1={"as_expr": {"expr_str": TOUCH}}),
    "an object": lambda p: graph(p)["custom_obj_values"].update(x={"name": "x", "class_fqn": "os"}),
    "a tensor of another name": lambda p: graph(p)["tensor_values"].update({"a;b": tensor(p)}),
    "a range": lambda p: p["range_constraints"].update({TOUCH: {"min_val": 2, "max_val": None}}),
    "a limit": lambda p: p["range_constraints"].update(s98={"min_val": TOUCH, "max_val": None}),
    "an opset": lambda p: p["opset_version"].update(os=1),
    "a version of torch": lambda p: p.update(torch_version="2; import os"),
    "a schema": lambda p: p["schema_version"].update(major="8"),
    "another key": lambda p: p.update(code=TOUCH),
    "metadata": lambda p: p["graph_module"]["metadata"].update(x="y"),
    "a named tuple": lambda p: p["graph_module"]["treespec_namedtuple_fields"].update({"os.x": {"fields": []}}),
    "a module": lambda p: p["graph_module"]["module_call_graph"][1].update(fqn="a()"),
    "a tree": lambda p: call(p).update(in_spec=call(p)["in_spec"].replace("builtins.tuple", "os.system")),
    "an output tree": lambda p: call(p).update(out_spec='[1, {"type": "os.system"}]'),
    "a signature's inputs": lambda p: call(p)["inputs"].append({"as_string": "x"}),
    "a forward argument": lambda p: call(p).update(forward_arg_names=["samples=x()"]),
    "a parameter": lambda p: spec(p, "parameter").update(parameter_name="a-b"),
    "a parameter's argument": lambda p: spec(p, "parameter")["arg"].update(name="a.b"),
    "a buffer": lambda p: spec(p, "buffer").update(buffer_name="a()"),
    "a custom input": lambda p: p["graph_module"]["signature"]["input_specs"].append({"custom_obj": {}}),
    "a token": lambda p: p["graph_module"]["signature"]["output_specs"].append({"token": {}}),
}


def graph(program: Any) -> Any:
    return program["graph_module"]["graph"]


def node(program: Any) -> Any:
    return graph(program)["nodes"][0]


def tensor(program: Any) -> Any:
    return graph(program)["tensor_values"]["samples"]


def size(program: Any) -> Any:
    return tensor(program)["sizes"][0]["as_expr"]


def call(program: Any) -> Any:
    return program["graph_module"]["module_call_graph"][0]["signature"]


def spec(program: Any, kind: str) -> Any:
    return next(s[kind] for s in program["graph_module"]["signature"]["input_specs"] if kind in s)


@pytest.mark.parametrize("edit", EDITS)
def test_another_program_is_refused(records: Mapping[str, bytes], edit: str) -> None:
    refuses({**records, PROGRAM: edited(records[PROGRAM], EDITS[edit])}, "differs in")


def strings(plain: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all strings in JSON values, besides the origins of nodes, which torch keeps as text."""
    if isinstance(plain, str):
        return [path]
    children = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    return [found for key, value in children if key != "metadata" for found in strings(value, (*path, key))]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_string_may_hold_an_expression(records: Mapping[str, bytes], data: st.DataObject) -> None:
    """Wherever a string stands, neither a call, nor an attribute, nor a part of one passes."""
    program = json.loads(records[PROGRAM])
    *parents, last = data.draw(st.sampled_from(strings(program)))
    holder = program
    for key in parents:
        holder = holder[key]
    before = holder[last]
    inserted = data.draw(
        st.sampled_from([TOUCH, "()", "f(", "[0]", " if x else y", "\n", ";", "\0", "__import__('os')"])
    )
    at = data.draw(st.integers(0, len(before)))
    holder[last] = before[:at] + inserted + before[at:]
    with pytest.raises(InputError):
        check_program(json.dumps(program).encode())


@settings(max_examples=100, deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.just(b"[" * 100_000), st.just(b"1" * 5000)))
def test_any_other_content_is_refused_without_another_error(content: bytes) -> None:
    for check in (check_program, check_payloads, lambda content: check_export(content, N_FEATURES)):
        with pytest.raises(InputError):
            check(content)


@pytest.mark.parametrize("name", [WEIGHTS, CONSTANTS])
@pytest.mark.parametrize(
    "change",
    [
        {"use_pickle": True},
        {"path_name": "custom_obj_0"},
        {"path_name": "opaque_obj_0"},
        {"path_name": "../weight_0"},
        {"path_name": "weight_0\n"},
        {"tensor_meta": None},
        {"code": "x"},
    ],
)
def test_tensors_that_are_pickled_are_refused(records: Mapping[str, bytes], name: str, change: dict[str, Any]) -> None:
    payload = next(iter(json.loads(records[WEIGHTS])["config"].values()))
    refuses({**records, name: json.dumps({"config": {"x": payload | change}}).encode()}, "differs in config")


@pytest.mark.parametrize(
    "name",
    [
        "model/extra/code.py",
        "model/data/aotinductor/model/x.so",
        "model/data/weights/model.pt",
        "model/data/constants/custom_obj_0",
        "model/data/constants/opaque_obj_0",
        "model/models/other.json",
        "model/data/weights/../weight_0",
        "other/models/model.json",
        "model/data/weights/weight_0.py",
    ],
)
def test_another_record_is_refused(records: Mapping[str, bytes], name: str) -> None:
    refuses({**records, name: b""}, "must have the records")


@pytest.mark.parametrize("name", [PROGRAM, EXAMPLE, WEIGHTS, CONSTANTS])
def test_no_record_may_be_missing(records: Mapping[str, bytes], name: str) -> None:
    refuses({key: value for key, value in records.items() if key != name}, "must have the records")


@pytest.mark.parametrize("name", ["archive_format", "archive_version", ".data/version", "byteorder"])
def test_a_text_of_torch_has_its_form(records: Mapping[str, bytes], name: str) -> None:
    refuses({**records, f"model/{name}": TOUCH.encode()}, "must have the records")


def test_a_record_that_stands_twice_is_refused(records: Mapping[str, bytes]) -> None:
    content = io.BytesIO(packed(records))
    with zipfile.ZipFile(content, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(PROGRAM, records[PROGRAM])
    with pytest.raises(InputError, match="list of records"):
        check_export(content.getvalue(), N_FEATURES)


def test_compressed_records_are_refused(records: Mapping[str, bytes]) -> None:
    with pytest.raises(InputError, match="list of records"):
        check_export(packed(records, zipfile.ZIP_DEFLATED), N_FEATURES)


class Hostile:
    def __reduce__(self) -> Any:
        return print, ("has run",)


def saved(examples: Any) -> bytes:
    record = io.BytesIO()
    torch.save(examples, record)
    return record.getvalue()


def test_the_examples_are_two_samples_and_no_other_pickle(records: Mapping[str, bytes]) -> None:
    fine = saved(((torch.ones(2, N_FEATURES),), {}))
    check_export(packed({**records, EXAMPLE: fine}), N_FEATURES)
    twice = io.BytesIO(fine)
    with zipfile.ZipFile(twice, "a") as archive:
        archive.writestr("archive/constants.pkl", pickle.dumps(Hostile()))
    for hostile in (
        pickle.dumps(Hostile()),
        saved(Hostile()),
        saved(((torch.ones(3, N_FEATURES),), {})),
        saved(((torch.ones(2, N_FEATURES),), {"x": Hostile()})),
        twice.getvalue(),
        b"",
    ):
        refuses({**records, EXAMPLE: hostile}, "sample_inputs")


def test_an_export_is_checked_before_torch_reads_it(
    records: Mapping[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program = edited(records[PROGRAM], EDITS["an expression before"])
    (tmp_path / "model.pt2").write_bytes(packed({**records, PROGRAM: program}))
    with pytest.raises(InputError):
        load_export(tmp_path / "model.pt2", N_FEATURES)
    assert not (tmp_path / "has-run").exists()
