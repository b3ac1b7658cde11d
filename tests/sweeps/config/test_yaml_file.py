from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.config import load

Issues = Callable[..., list[str]]


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
        ("a: [1", "must be plain YAML in line 1"),
        ("name: a\nname: b\n", "in line 2, column 1: 'name' is given twice"),
        ("model: {name: a, name: b}\n", "'name' is given twice"),
        ("a: !!python/object/apply:os.system ['true']", "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("a: !custom 3", "the tag '!custom' is not allowed"),
        ("a: !!binary aGk=", "is not allowed"),
        ("a: 1\n---\nb: 2\n", "must be plain YAML in line 2"),
        ("1: 2", "the key 1 must be text"),
        ("? [a]\n: 2", "must be plain YAML"),
        ("&a [*a]", "has more than"),
        ("a: &a {b: *a}", "has more than"),
        ("a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e]", "has more than"),
        ("[" * 2000, "must be plain YAML"),
        ("a: " + "9" * 5000, "must be plain YAML"),
        ('a: "\\ud800"', "half a surrogate pair"),
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
