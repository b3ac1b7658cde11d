"""Mutants differ from the module in one place, and are Python."""

from pathlib import Path

from mutants import mutants
from mutation_score import read_guards

ROOT = Path(__file__).parents[2]
GUARD = '''\
"""A guard."""


def check(path: str, limit: int = 3, *, strict: bool = True) -> int:
    """Check."""
    if len(path) > limit and strict:
        raise ValueError(f"{path if path else 1} is too long")
    audit(path)
    logger.info("checked %s", path)
    mode = 0o600
    return -max(n for n in range(limit) if n != mode)
'''


def test_each_kind_of_line_is_changed() -> None:
    assert [(mutant.line, mutant.change) for mutant in mutants(GUARD)] == [
        (4, "True  ->  False"),
        (6, "len(path) > limit  ->  (len(path) >= limit)"),
        (6, "len(path) > limit and strict  ->  ((len(path) > limit) or (strict))"),
        (6, "len(path) > limit and strict  ->  (not (len(path) > limit and strict))"),
        (7, 'raise ValueError(f"{path if path else 1} is too long")  ->  pass'),
        (8, "audit(path)  ->  pass"),
        (10, "0o600  ->  0o644"),
        (11, "-max(n for n in range(limit) if n != mode)  ->  (max(n for n in range(limit) if n != mode))"),
        (11, "max  ->  min"),
        (11, "n != mode  ->  (n == mode)"),
        (11, "n != mode  ->  True"),
    ]


def test_a_mutant_changes_no_other_line() -> None:
    source = (ROOT / "sweeps/storage/lease.py").read_text()
    found = mutants(source)
    assert len(found) > 5
    for mutant in found:
        n_lines = mutant.before.count("\n") + 1
        before, after = source.splitlines(), mutant.source.splitlines()
        n_after = len(after) - len(before) + n_lines
        assert after[: mutant.line - 1] == before[: mutant.line - 1]
        assert after[mutant.line - 1 + n_after :] == before[mutant.line - 1 + n_lines :]


def test_a_deadline_is_changed_by_more_than_a_moment() -> None:
    changes = [mutant.change for mutant in mutants("while time.monotonic() < deadline:\n    wait()\n")]
    assert changes == ["time.monotonic() < deadline  ->  (not (time.monotonic() < deadline))", "wait()  ->  pass"]


def test_guards_name_modules_and_tests_that_exist() -> None:
    guards = read_guards()
    assert len(guards) > 80
    for guard in guards:
        assert {mutant.change for mutant in mutants((ROOT / guard.module).read_text())} >= set(guard.equivalent)
        for test in guard.tests:
            path, _, name = test.partition("::")
            assert (ROOT / path).exists(), test
            assert f"def {name}(" in (ROOT / path).read_text() if name else True, test
