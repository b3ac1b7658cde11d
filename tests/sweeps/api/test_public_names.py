"""The names and signatures of the Python API, as users write them; changing one needs a line in the changelog."""

import inspect
import pydoc
import subprocess
import sys
from typing import Any

import pytest

import sweeps

SIGNATURES = {
    "best": "(sweep)",
    "diagnose": "(run, trial=None)",
    "evaluate": "(run, trial=None)",
    "extend": "(sweep, n_trials, *, progress=True)",
    "history": "(model, alias='champion')",
    "list_sweeps": "(*, address=None)",
    "load": "(recipe_or_path, overrides=())",
    "promote": (
        "(run, model, *, trial=None, alias='champion', first=False, dry_run=False, force=False, n_seeds=None,"
        " plugin=None)"
    ),
    "resume": "(sweep, *, progress=True)",
    "rollback": "(model, alias='champion')",
    "run": "(config, overrides=(), *, offline=False, progress=True, uri=None)",
    "status": "(sweep, *, address=None)",
    "stop": "(sweep, *, address=None)",
    "submit": "(config, overrides=(), *, address=None, offline=False)",
}
CLASSES = {
    "AuditedHistory",
    "Evaluation",
    "Move",
    "Promotion",
    "RankedTrial",
    "Submitted",
    "SweepConfig",
    "SweepResult",
    "SweepStatus",
    "TrialResult",
}


def plain(signature: inspect.Signature) -> str:
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def test_public_names_and_signatures_stay() -> None:
    assert set(sweeps.__all__) == {*SIGNATURES, "errors"}
    assert {name: plain(inspect.signature(getattr(sweeps, name))) for name in SIGNATURES} == SIGNATURES
    assert all(inspect.isclass(getattr(sweeps, name)) for name in CLASSES)
    assert {name for name in sweeps._MODULES if name[0].isupper()} == CLASSES
    assert {*sweeps.__all__, "SweepConfig"} <= set(dir(sweeps))


def test_every_function_is_typed_and_documents_arguments_and_an_example() -> None:
    for name in SIGNATURES:
        function: Any = getattr(sweeps, name)
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in signature.parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, (name, parameter)
            assert f"{parameter.name}: " in function.__doc__, (name, parameter)
        assert "Example:" in function.__doc__, name


def test_exceptions_and_version_are_there() -> None:
    assert issubclass(sweeps.errors.ConfigError, sweeps.errors.InputError)
    assert sweeps.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sweeps.nothing


def test_help_shows_every_function_with_its_signature_and_example_without_importing_torch() -> None:
    code = "import sweeps, sys; help(sweeps); print('torch' in sys.modules, 'mlflow' in sys.modules)"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert text.splitlines()[-1] == "False False"
    for name in SIGNATURES:
        assert f"\n    {name}(" in text, name
        assert pydoc.plain(f"sweeps.{name}(") in text or f">>> config = sweeps.{name}(" in text, name


def test_importing_sweeps_imports_none_of_its_modules() -> None:
    code = "import sys, sweeps; print([name for name in sys.modules if name.startswith('sweeps.')])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def test_an_input_error_in_a_notebook_is_its_issues_without_a_traceback() -> None:
    error = sweeps.errors.ConfigError(["first", "second"])
    assert error._render_traceback_() == ["ConfigError: first", "ConfigError: second"]
