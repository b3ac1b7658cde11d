import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.config import load
from sweeps.config.plain_yaml import MAX_DEPTH, MAX_DIGITS, MAX_VALUES, PlainRules, parse_yaml, read_plain
from sweeps.config.python_yaml import PythonScanner
from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.build import load_arrays
from sweeps.errors import ConfigError

Issues = Callable[..., list[str]]


MERGES = "a: &a {k: 1}\nb: {c: 3, <<: *a}\n"
EXPLODING_MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 25))
DEEP_BY_ALIASES = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [[[*a{i - 1}]]]\n" for i in range(1, 20))


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "sweep.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return path


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        ("", "is empty: start from one of `sweeps recipes`"),
        ("# only a comment\n", "is empty: start from one of `sweeps recipes`"),
        ("- a\n- b\n", "must be a mapping such as"),
        ("just words", "must be a mapping such as"),
        ("a: [1", "must be plain YAML in line"),
        ("a: [1\nb: 2", "must be plain YAML in line 2, column"),
        ("name: a\nname: b\n", "in line 2, column 1: 'name' is given twice"),
        ("model: {name: a, name: b}\n", "'name' is given twice"),
        ("a: !!python/object/apply:os.system ['true']", "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("a: !!int", 'in line 1, column 4: "" must be a number'),
        ("a: !!float x", 'in line 1, column 4: "x" must be a number'),
        ("a: !!bool x", 'in line 1, column 4: "x" must be true or false'),
        ("a: !!int [1]", "must be plain YAML in line 1, column"),
        ("a: !!null [1]", "must be plain YAML in line 1, column"),
        ("a: !!map 1", "must be plain YAML in line 1, column"),
        ("a: !custom 3", "the tag '!custom' is not allowed"),
        ("a: !!binary aGk=", "is not allowed"),
        ("a: 1\n---\nb: 2\n", "must be plain YAML in line 2"),
        ("1: 2", "the key 1 must be text"),
        ("? [a]\n: 2", "must be plain YAML"),
        ("&a [*a]", "in line 1, column 5: a value must not contain itself"),
        ("a: &a {b: *a}", "a value must not contain itself"),
        ("a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e]", "has more than"),
        (MERGES, "must be plain YAML in line 2, column 11: merge keys (<<) are not read: write the settings out"),
        (EXPLODING_MERGES, "has more than 100,000 values"),
        (DEEP_BY_ALIASES, "is nested too deeply, on more than 50 levels"),
        ("[" * 2000, "is nested too deeply, on more than 50 levels"),
        ("{a: " * 200_000, "is nested too deeply"),
        ("- " * 400_000, "is nested too deeply"),
        ("a: [" + "1," * 490_000 + "1]", "in line 1, column 199999: it has more than 100,000 values"),
        ("a: {" + ",".join(f"k{number}: 1" for number in range(80_000)) + "}", "has more than 100,000 values"),
        ("a: " + "9" * 5000, "in line 1, column 4: a number must have at most 500 digits, not 5,000: shorten it"),
        ("a: 0x" + "f" * 900_000, "a number must have at most 500 digits"),
        ("a: " + "1:" * 400_000 + "1", "a number must have at most 500 digits"),
        ("a: 1e" + "9" * 5000, "a number must have at most 500 digits"),
        ('a: "\\ud800"', "must be plain YAML in line 1, column"),
        (b"name: caf\xe9\n", "is not UTF-8 text (byte 0xe9 in line 1)"),
        (b"a: \x00", "must be plain YAML"),
        ("#" * 1_000_001, "is longer than the 1,000,000 bytes"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_plain_yaml_mapping_is_rejected(
    issues: Issues, tmp_path: Path, text: str | bytes, issue: str
) -> None:
    (only,) = issues(write(tmp_path, text))
    assert issue in only
    assert str(tmp_path / "sweep.yaml") in only


def test_yaml_reads_scientific_notation_without_a_point_as_a_number(sweep_file: Path, tmp_path: Path) -> None:
    path = write(tmp_path, sweep_file.read_text() + "training: {learning_rate: 1e-3}\n")
    assert load(path).training.learning_rate == 0.001
    for text, value in (("5E-4", 5e-4), ("+1e2", 100.0), ("1.5e+1", 15.0), ("1_0e0", 10.0)):
        assert load(path, [f"training.learning_rate={text}"]).training.learning_rate == value


def test_yaml_reads_a_byte_order_mark_an_anchor_and_a_date_as_text(sweep_file: Path, tmp_path: Path) -> None:
    text = (
        sweep_file.read_text()
        .replace("name: plain", "name: 2026-01-31")
        .replace("{int: [8, 64]}", "&sizes {int: [8, 64]}")
    )
    assert load(write(tmp_path, b"\xef\xbb\xbf" + text.encode())).name == "2026-01-31"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=st.text() | st.text(alphabet="{}[]:,-&*!|>'\"# \nab01e.", max_size=40))
def test_any_text_that_is_no_sweep_is_reported_in_lines(issues: Issues, tmp_path: Path, text: str) -> None:
    assert issues(write(tmp_path, text))


@pytest.mark.parametrize("text", [MERGES, EXPLODING_MERGES, DEEP_BY_ALIASES, "[" * 900_000, "a: [" + "x," * 490_000])
def test_a_text_that_explodes_is_refused_in_little_time(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ConfigError):
        parse_yaml(text, "sweep.yaml")
    assert time.process_time() - started < 5


class SlowLoader(PlainRules, PythonScanner):
    """The loader of an installation of PyYAML without libyaml."""

    def __init__(self, text: str) -> None:
        PythonScanner.__init__(self, text)
        PlainRules.__init__(self)


plain_texts = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text("ab: -'\"é", max_size=6),
    lambda parts: (
        st.lists(parts, max_size=4) | st.dictionaries(st.text("abc", min_size=1, max_size=3), parts, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(value=plain_texts, flow=st.booleans())
def test_both_scanners_read_what_yaml_writes(value: object, flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow)
    assert parse_yaml(text, "it") == value
    assert read_plain(SlowLoader(text)) == value


@pytest.mark.parametrize("text", [MERGES, EXPLODING_MERGES, DEEP_BY_ALIASES, "&a [*a]", 'a: "\\ud800"', "a: 1\na: 2"])
def test_the_scanner_in_python_refuses_the_same(text: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError):
        read_plain(SlowLoader(text))


@pytest.mark.parametrize("path", ["a", "model", "search"])
def test_a_path_of_thousands_of_parts_is_refused_in_one_line(sweep_file: Path, issues: Issues, path: str) -> None:
    (issue,) = issues(sweep_file, f"{path}{'.a' * 4999}=1")
    assert "has 5,000 parts, and no setting has more than 10" in issue
    assert len(issue) < 200


def test_a_search_key_of_thousands_of_parts_is_refused_in_one_line(
    sweep_file: Path, issues: Issues, tmp_path: Path
) -> None:
    text = sweep_file.read_text().replace("model.hidden_size", "? model" + ".a" * 4999 + "\n ").replace("\n :", "\n  :")
    (issue,) = issues(write(tmp_path, text))
    assert "has 5,000 parts" in issue
    assert len(issue) < 3000


def test_the_number_of_a_list_entry_may_have_any_length(sweep_file: Path, issues: Issues) -> None:
    stack = ["search.model.hidden_size=null", "model={name: deep, hidden_sizes: [8]}"]
    found = issues(sweep_file, *stack, f"model.hidden_sizes.{'1' * 5000}=1")
    assert any("must name one of 1 list entries" in issue for issue in found)


def test_a_pipe_without_a_writer_is_not_waited_for(issues: Issues, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (issue,) = issues(tmp_path / "pipe.yaml")
    assert "is empty" in issue


def test_a_home_of_an_unknown_user_is_left_as_it_is(sweep_file: Path, tmp_path: Path) -> None:
    text = sweep_file.read_text().replace("{name: digits}", "{name: array, path: ~nobody-here/x.npy}")
    assert load(write(tmp_path, text)).data.path.name == "x.npy"
    with pytest.raises(DatasetError, match="there is no such file"):
        load_arrays(load(write(tmp_path, text)).data)


def test_a_long_issue_is_shortened(sweep_file: Path, issues: Issues, tmp_path: Path) -> None:
    (issue,) = issues(write(tmp_path, sweep_file.read_text().replace("name: plain", f"name: {'x' * 100_000}")))
    assert len(issue) < 2100


def test_a_file_of_thousands_of_mistakes_reports_the_first(sweep_file: Path, issues: Issues, tmp_path: Path) -> None:
    started = time.process_time()
    lines = "".join(f"k{number}: 1\n" for number in range(20_000))
    assert len(issues(write(tmp_path, sweep_file.read_text() + lines))) == 100
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1), "[{}]"),
        ("1" * MAX_DIGITS, "{}1"),
        ("[" + ", ".join(["1"] * (MAX_VALUES - 1)) + "]", "[{}]"),
    ],
    ids=["levels", "digits", "values"],
)
def test_a_text_at_a_limit_is_read_and_one_beyond_it_is_refused(text: str, more: str) -> None:
    parse_yaml(text, "here")
    with pytest.raises(ConfigError):
        parse_yaml(more.format(text), "here")
