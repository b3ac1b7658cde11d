"""Numbers that are too large are refused in one line that names the setting, before anything is allocated."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from sweeps.config import SweepConfig, load
from sweeps.config.dotted_paths import settings, with_values
from sweeps.config.explain import _SMALLEST, _head_sections, _places, _schema, _section_example, explain
from sweeps.config.search_space import MAX_POINTS, Choices, corner_points
from sweeps.config.sections import try_parse

Issues = Callable[..., list[str]]
GOOGOLS = "1" + "0" * 400


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def numeric_settings() -> Iterator[tuple[str, str | None]]:
    """Every setting of a sweep file that takes a number, with the kind of its section."""
    for path in dict.fromkeys(settings(SweepConfig)):
        for place in _places(path):
            schema = _schema(place)
            types = {part.get("type") for part in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ()))}
            if types & {"integer", "number"}:
                yield path, place.head_kind


@pytest.mark.parametrize(("path", "kind"), sorted(set(numeric_settings()), key=str))
@pytest.mark.parametrize("value", [10**30, 10**400, -(10**400), float("inf")], ids=["large", "huge", "low", "inf"])
def test_a_number_beyond_every_limit_is_refused_by_its_setting(path: str, kind: str | None, value: float) -> None:
    if isinstance(value, int) and value == 10**30 and "integer" not in str(explain(path).meanings):
        value = 10**309
    document = {"name": "big"} | _SMALLEST
    if kind is not None:
        section = next(
            part for part in _head_sections(path) if part.model_fields["name"].annotation.__args__[0] == kind
        )
        document[path.partition(".")[0]] = _section_example(section) | {"name": kind}
    if kind == "rows":
        document["data"] = {"name": "rows", "rows": [[1.0]]}
    if path.startswith("objective."):
        document["objective"] = {"metric": "valid/mse"}
    _, issues = try_parse(SweepConfig, with_values(document, {path: value}))
    lines = [str(issue) for issue in issues if path in str(issue)]
    assert lines, f"{path}: {value!r:.20} is accepted"
    assert all(len(line) < 300 for line in lines)


@pytest.mark.parametrize("setting", ["budget.trials", "training.epochs", "model.hidden_size", "promotion.seeds"])
@pytest.mark.parametrize("written", [GOOGOLS, "1e400", "9" * 5000, f"0x{'f' * 5000}", "59:" * 2000 + "59", "1e999999"])
def test_a_huge_number_on_the_command_line_is_refused_in_one_line(
    sweep_file: Path, issues: Issues, setting: str, written: str
) -> None:
    found = issues(sweep_file, f"search.{'model.hidden_size'}=null", "budget.trials=1", f"{setting}={written}")
    assert any(setting in issue for issue in found)


@pytest.mark.parametrize("kind", ["int", "logint", "uniform", "loguniform"])
def test_a_range_that_ends_at_a_huge_number_is_refused(sweep_file: Path, issues: Issues, kind: str) -> None:
    for bounds in (f"[1, {GOOGOLS}]", f"[-{GOOGOLS}, 1]"):
        (issue,) = issues(sweep_file, f"search.training.batch_size={{{kind}: {bounds}}}")
        assert "search.training.batch_size must" in issue


def test_a_choice_of_a_huge_number_is_refused_by_its_setting(sweep_file: Path, issues: Issues) -> None:
    (issue,) = issues(sweep_file, f"search.model.hidden_size={{choice: [8, {GOOGOLS}]}}")
    assert "model.hidden_size must be at most 100,000" in issue


def test_a_grid_of_more_than_a_million_points_is_refused(sweep_file: Path, issues: Issues) -> None:
    values = f"{{grid: [{_listed(range(1, 102))}]}}"
    paths = ("model.hidden_size", "training.epochs", "training.batch_size")
    searches = [f"search.{path}={values}" for path in paths]
    (issue,) = issues(sweep_file, "algorithm.name=grid", "budget.trials=null", *searches)
    assert "the grid has 1,030,301 combinations" in issue
    assert load(sweep_file, ["algorithm.name=grid", "budget.trials=4", *searches]).n_trials == 4


def test_a_range_of_too_many_values_and_too_many_ranges_are_refused(sweep_file: Path, issues: Issues) -> None:
    many = ", ".join(map(str, range(1, 10_002)))
    (issue,) = issues(sweep_file, f"search.model.hidden_size={{choice: [{many}]}}")
    assert "must have at most 10,000 values after choice:, not 10,001" in issue
    (issue,) = issues(sweep_file, f"search={{{_listed(f'k{number}: {{choice: [1]}}' for number in range(101))}}}")
    assert "search must have at most 100 values" in issue


def test_one_range_of_thousands_of_values_is_checked_at_each(sweep_file: Path, issues: Issues) -> None:
    many = ", ".join(map(str, range(1, 2001)))
    assert load(sweep_file, [f"search.model.hidden_size={{choice: [{many}]}}"]).n_epochs == 20
    (issue,) = issues(sweep_file, f"search.model.hidden_size={{choice: [{many}, 100001]}}")
    assert "100001" in issue


def test_corners_of_many_long_ranges_are_few_and_have_every_value() -> None:
    search = {f"p{number}": Choices("choice", tuple(range(30))) for number in range(20)}
    points = list(corner_points(search))
    assert len(points) <= MAX_POINTS
    assert all({point[path] for point in points} == set(range(30)) for path in search)


def test_a_search_over_thousands_of_rows_is_checked_in_little_time(sweep_file: Path) -> None:
    rows = ", ".join(["[1.0]"] * 20_000)
    search = [f"search.model.hidden_size={{choice: [{_listed(range(1, 1001))}]}}"]
    started = time.process_time()
    config = load(sweep_file, [f"data={{name: rows, rows: [{rows}]}}", *search])
    assert config.trial_at({"model.hidden_size": 3}).data == config.data
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("data={name: uniform, n_samples: 1000000, n_features: 1000}", "n_samples times n_features must be at most"),
        ("data={name: normal, n_samples: 300000000, n_features: 1}", "n_samples times n_features must be at most"),
        (f"model={{name: deep, hidden_sizes: [{'1, ' * 101}]}}", "must have at most 100 values"),
        (f"objective=[{'{metric: valid/mse}, ' * 21}]", "must have at most 20 values"),
        ("algorithm={name: tpe, seed: 4294967296}", "algorithm.seed must be at most 4,294,967,295"),
    ],
)
def test_what_would_allocate_or_loop_is_refused(sweep_file: Path, issues: Issues, change: str, expected: str) -> None:
    found = issues(sweep_file, "search={}", change)
    assert any(expected in issue for issue in found), found
