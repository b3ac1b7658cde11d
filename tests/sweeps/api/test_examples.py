"""The examples in the docstrings of the Python API run, in order, in one session."""

import doctest
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from job_cluster import Cluster

import sweeps
from sweeps.api.looks import list_sweeps

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Each builds on what those before it have left: `run` makes the sweep `demo`, `extend` adds a trial to it.
IN_ORDER = (
    "load",
    "run",
    "best",
    "diagnose",
    "evaluate",
    "resume",
    "stop",
    "extend",
    "status",
    "list_sweeps",
    "promote",
    "history",
    "rollback",
    "submit",
    "SweepConfig",
)


def examples_of(name: str) -> doctest.DocTest:
    found = doctest.DocTestFinder(recurse=False).find(getattr(sweeps, name), name, globs={"sweeps": sweeps})
    assert found, name
    return found[0]


def test_every_function_has_one_example_that_this_file_runs() -> None:
    assert set(IN_ORDER) == {*sweeps.__all__, "SweepConfig"} - {"errors"}
    assert all(examples_of(name).examples for name in IN_ORDER)
    assert list_sweeps is sweeps.list_sweeps


def run_examples(test: doctest.DocTest) -> None:
    printed: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=printed.append)
    assert not printed, "".join(printed)


@pytest.mark.slow
def test_examples_run_as_they_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cluster = Cluster()
    connect: Any = lambda _address: cluster
    monkeypatch.setattr("sweeps.cluster.jobs.client.connect", connect)
    with patch.dict(os.environ):  # a sweep sets Ray's variables permanently
        for name in IN_ORDER:
            run_examples(examples_of(name))
            if name == "run":  # the examples that follow show a sweep whose trials have all finished
                points = sweeps.best("demo").points
                assert {(str(point.state), point.reason) for point in points} == {("FINISHED", None)}
                assert None not in [point.diagnosis for point in points], [point.tags for point in points]
        for method in (sweeps.SweepResult.trials, sweeps.SweepResult.history):
            for test in doctest.DocTestFinder().find(method, globs={"sweeps": sweeps}):
                run_examples(test)
        module = doctest.DocTestParser().get_doctest(sweeps.__doc__ or "", {}, "sweeps", None, None)
        run_examples(module)
    (asked,) = cluster.asked
    assert asked.startswith("submit quickstart-")
