"""What mypy, without the plug-in of pydantic, says of a user's script."""

import sys
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]
# As for an installed package: errors inside it are not shown. Heavy packages are skipped, for speed.
SETTINGS = """\
[mypy]
strict = true
[mypy-sweeps.*]
follow_imports = silent
[mypy-torch.*,pytorch_lightning.*,numpy.*,pandas.*,scipy.*,sklearn.*,ray.*,mlflow.*,optuna.*,matplotlib.*,rich.*,PIL.*]
follow_imports = skip
follow_imports_for_stubs = true
"""
SCRIPT = """\
import sweeps
from sweeps.config import BudgetConfig, DigitsConfig, ObjectiveConfig, ShallowConfig

config = sweeps.SweepConfig(
    name="sizes",
    data=DigitsConfig(),
    model=ShallowConfig(activation="sigmoid"),
    training={"epochs": 4},
    search={"model.hidden_size": {"choice": (16, 32)}},
    objective=[ObjectiveConfig(metric="valid/mse")],
    budget=BudgetConfig(trials=4),
)
result = sweeps.run(config, {"training.epochs": 3}, progress=False)
best: float = result.trials()["valid/mse"].min()
print(sweeps.__version__, result.sweep, sweeps.errors.ConfigError)
"""
WRONG = {
    'sweeps.SweepConfig(nme="sizes", data={}, model={}, objective={})': "Unexpected keyword argument",
    'sweeps.SweepConfig(name="sizes", data={}, model={})': "Missing named argument",
    'sweeps.SweepConfig(name="sizes", data={}, model={}, objective={}, execution="fast")': "incompatible type",
    'ShallowConfig(activation="sigmod")': "incompatible type",
    "BudgetConfig(trils=4)": "Unexpected keyword argument",
    "sweeps.nonsense()": "Module has no attribute",
}


@pytest.mark.slow
def test_mypy_accepts_right_use_and_finds_each_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    script = tmp_path / "script.py"
    script.write_text("\n".join([SCRIPT, *WRONG]))
    report, errors, _ = api.run(["--no-error-summary", "--python-executable", sys.executable, str(script)])
    first = SCRIPT.count("\n") + 2
    found = [line for line in report.splitlines() if ": error: " in line]
    assert not errors
    assert len(found) == len(WRONG), report
    for number, (line, (call, message)) in enumerate(zip(found, WRONG.items(), strict=True), start=first):
        assert line.startswith(f"script.py:{number}: error: ") or f"/script.py:{number}: error: " in line, (call, line)
        assert message in line, (call, line)
