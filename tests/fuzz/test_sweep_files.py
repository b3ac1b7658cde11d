"""Sweep files, `--set` and the paths of `explain`: whatever is written there is read, or refused in lines."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing import fuzzed, hold, hold_apart
from hypothesis import strategies as st

from sweeps.config import SweepConfig, load
from sweeps.config.dotted_paths import settings
from sweeps.config.explain import explain
from sweeps.errors import ConfigError

PATHS = sorted(dict.fromkeys(settings(SweepConfig)))
SWEEP = """\
name: plain
data: {name: digits}
model: {name: shallow}
search:
  model.hidden_size: {int: [8, 64]}
objective: {metric: valid/mse}
budget: {trials: 4}
"""
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 25))
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
RECURSIVE = ["&a [*a]", "a: &a {b: *a}", "&a {k: &b [*a, *b]}"]
DEEP = ["[" * 999_000, "{a: " * 240_000, "- " * 490_000, "? " * 490_000, "a: " + "'" * 900_000, "a:\n " * 240_000]
WIDE = ["a: [" + "1," * 490_000, "a: {" + ",".join(f"k{i}: 1" for i in range(90_000)) + "}", "a: 1\n" * 190_000]
ODD = ["a: 1:" + "1:" * 400_000, "a: 0x" + "f" * 900_000, "a: 1e" + "9" * 900_000, "a: |\n" + " x\n" * 300_000]
MARKS = ["---\n" * 240_000, "#\n" * 490_000, "%YAML 1.1\n" * 99_000, "&a " * 300_000, "!a " * 300_000, "*a," * 300_000]
RANGES = [
    SWEEP.replace("{int: [8, 64]}", f"{{choice: [{','.join(map(str, range(1, size)))}]}}") for size in (1100, 9000)
]
CORPUS = [MERGES, LAUGHS, *RECURSIVE, *DEEP, *WIDE, *ODD, *MARKS, *RANGES, "\0", "\ufeff", "a: \x85", "a: \u2028"]

numbers = st.sampled_from(["1e400", "-1e400", ".inf", ".nan", "1" + "0" * 400, "9" * 5000, "0x" + "f" * 3000, "1:1:1"])
pieces = st.sampled_from(
    [
        *"{}[]:,-?&*!|>'\"%@#\n ",
        "&a",
        "*a",
        "<<",
        "!!int",
        "!!bool",
        "!!float",
        "!!map",
        "!!str",
        "---",
        "? ",
        ": ",
        "- ",
        "\\ud800",
        "\t",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.integers(0, 10**400)
values = st.recursive(
    scalars,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=4), part, max_size=4),
    max_leaves=8,
)
ranges = st.builds(
    lambda kind, bounds: {kind: bounds},
    st.sampled_from(["int", "logint", "uniform", "loguniform", "choice", "grid", "other"]),
    st.lists(scalars | st.integers(1, 100) | st.floats(0, 1), max_size=5) | scalars,
)
paths = st.sampled_from(PATHS) | st.lists(st.sampled_from(["model", "data", "0", "a", "", "name"]), max_size=12).map(
    ".".join
)
texts = st.one_of(
    st.text(max_size=200),
    st.lists(pieces | numbers | st.text(max_size=3), max_size=60).map("".join),
    st.tuples(st.sampled_from(SWEEP.splitlines(keepends=True)), st.text(max_size=5)).map(
        lambda part: SWEEP + "".join(part)
    ),
    st.builds(
        lambda start, end, piece: SWEEP[:start] + piece + SWEEP[end:], st.integers(0, 150), st.integers(0, 150), pieces
    ),
)


def load_text(text: str, *overrides: str) -> SweepConfig:
    path = Path("sweep.yaml")
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return load(path, overrides)


def check(loaded: Any) -> None:
    if isinstance(loaded, SweepConfig):
        assert SweepConfig.from_dict(json.loads(json.dumps(loaded.to_dict()))) == loaded
    else:
        assert isinstance(loaded, ConfigError)


@pytest.mark.parametrize("number", range(len(CORPUS)))
def test_a_text_that_was_made_to_do_harm(number: int) -> None:
    check(hold(lambda: load_text(CORPUS[number])))


def test_the_worst_texts_take_little_memory(tmp_path: Path) -> None:
    for number, text in enumerate([MERGES, LAUGHS, *WIDE]):
        (tmp_path / f"{number}.yaml").write_text(text)
    code = """
from sweeps.config import load
from sweeps.errors import ConfigError
start()
for path in sys.argv[1:]:
    try:
        load(path)
    except ConfigError:
        print("refused")
"""
    printed = hold_apart(code, *sorted(tmp_path.glob("*.yaml")), max_bytes=300 * 2**20)
    assert printed.count("refused") == 5


@fuzzed(texts)
def test_any_text(text: str) -> None:
    check(hold(lambda: load_text(text)))


@fuzzed(st.dictionaries(st.sampled_from(PATHS) | st.text(max_size=6), values | ranges, max_size=6))
def test_any_document(changes: dict[str, Any]) -> None:
    document = yaml.safe_load(SWEEP)
    for path, value in changes.items():
        head, _, rest = path.partition(".")
        section = document.setdefault(head, {}) if rest else document
        if isinstance(section, dict):
            section[rest or head] = value
    text = yaml.safe_dump(document, allow_unicode=True)
    check(hold(lambda: load_text(text)))


@fuzzed(st.lists(st.tuples(paths, numbers | texts | values.map(str) | ranges.map(str)), max_size=4), st.booleans())
def test_any_override(assignments: list[tuple[str, str]], is_search: bool) -> None:
    prefix = "search." if is_search else ""
    check(hold(lambda: load_text(SWEEP, *(f"{prefix}{path}={value}" for path, value in assignments))))


@fuzzed(st.text(max_size=50) | paths | st.integers(1, 60_000).map(lambda n: "model" + ".a" * n))
def test_any_path_to_explain(path: str) -> None:
    hold(lambda: explain(path))
    hold(lambda: load_text(SWEEP, f"{path}=1"))
