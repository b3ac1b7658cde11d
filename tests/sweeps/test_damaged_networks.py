"""A trial's best network that is damaged, foreign or malicious: one line on the command line, and nothing runs."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from malicious import Malicious

from sweeps.cli.app import main
from sweeps.config import SweepConfig
from sweeps.evaluation import evaluate
from sweeps.models import saved_network, tensor_file
from sweeps.models.build import build_network
from sweeps.models.config import DeepConfig, ModelConfig, ShallowConfig
from sweeps.storage.earlier_names import earlier_name
from sweeps.tracking.results import SweepResult

SHALLOW = ShallowConfig(hidden_size=8)
COMMANDS = {
    "evaluate": ["evaluate", "SWEEP"],
    "promote": ["promote", "SWEEP", "--model", "damaged", "--first"],
}


@pytest.fixture
def result(small_sweep: Callable[..., SweepConfig], run_here: Callable[[SweepConfig], SweepResult]) -> SweepResult:
    return run_here(small_sweep())


@pytest.fixture
def network_file(result: SweepResult) -> Path:
    path = result.folder.point("0000").best_network
    assert isinstance(path, Path)
    return path


@pytest.fixture
def refusal(
    result: SweepResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], str]:
    """The line that a command prints on standard error with exit status 2."""

    def run(command: str) -> str:
        arguments = [result.sweep if argument == "SWEEP" else argument for argument in COMMANDS[command]]
        monkeypatch.setattr(sys, "argv", ["sweeps", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code, printed.out) == (2, "")
        lines = printed.err.strip().splitlines()
        assert "Traceback" not in printed.err
        return lines[-1]

    return run


def network(model: ModelConfig, input_size: int = 64) -> bytes:
    return saved_network.dumps(model, build_network(model, input_size=input_size, n_classes=None, seed=0))


def changed(content: bytes, **changes: Any) -> bytes:
    return tensor_file.dumps(tensor_file.loads(content) | changes)


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "cannot be read as one: it is empty"),
    "truncated": (lambda content: content[:-100], "it is empty, truncated or another kind of file"),
    "changed": (lambda content: content[:-50] + b"x" + content[-49:], "its content has changed"),
    "garbage": (lambda content: os.urandom(len(content)), "cannot be read as one: it is"),
    "foreign": (lambda _: b"PK\x05\x06" + bytes(18), "another kind of file"),
    "of torch": (lambda _: torch_file({"weights": torch.ones(2)}), "holds something else"),
    "a layer": (lambda _: tensor_file.dumps({"parameters": {}, "metrics": []}), "holds something else"),
    "wrong settings": (lambda content: changed(content, input_size=10**12), "and they differ: "),
    "another network": (lambda _: network(DeepConfig()), "its settings are those of another"),
    "of other data": (lambda _: network(SHALLOW, input_size=12), "its settings are those of another"),
}


def torch_file(values: Any) -> bytes:
    content = io.BytesIO()
    torch.save(values, content)
    return content.getvalue()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_network_is_one_line_that_names_the_file_and_what_to_do(
    network_file: Path, refusal: Callable[[str], str], command: str
) -> None:
    content = network_file.read_bytes()
    for damage, issue in DAMAGES.values():
        network_file.write_bytes(damage(content))
        line = refusal(command)
        assert f"{network_file} must " in line
        assert issue in line
        assert line.endswith("restore the file, or run the sweep again")


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_malicious_pickle_in_place_of_a_network_runs_nothing(
    network_file: Path, refusal: Callable[[str], str], tmp_path: Path, command: str, earlier: bool
) -> None:
    values = tensor_file.loads(network_file.read_bytes())
    network_file.unlink()
    path = earlier_name(network_file) if earlier else network_file
    path.write_bytes(torch_file(values | {"state_dict": {"encoder.bias": Malicious(tmp_path / "ran")}}))
    assert f"{path} must be a network saved by this package, and cannot be read" in refusal(command)
    assert not (tmp_path / "ran").exists()


def test_a_network_of_version_0_1_is_evaluated(result: SweepResult, network_file: Path) -> None:
    expected = evaluate(result)
    assert network_file.name == "best.safetensors"
    (network_file.parent / "best.pt").write_bytes(torch_file(tensor_file.loads(network_file.read_bytes())))
    network_file.unlink()
    assert evaluate(result) == expected
