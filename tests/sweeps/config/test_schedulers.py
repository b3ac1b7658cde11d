"""The `stopping` section: the scheduler that it names, and what that means for trials and packs."""

import json
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar, Literal, get_args

import pytest
from ray.tune.schedulers import MedianStoppingRule

from sweeps.cluster.tune.schedulers import scheduler
from sweeps.config import SweepConfig, json_schema, load
from sweeps.config.schedulers import AshaConfig, NoStoppingConfig, SchedulerConfig, StoppingConfig
from sweeps.search.packing import decide_packing
from sweeps.search.successive_halving import halving

MakeSweep = Callable[..., SweepConfig]
KINDS: list[type[SchedulerConfig]] = [get_args(kind)[0] for kind in get_args(get_args(StoppingConfig)[0])]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ({}, NoStoppingConfig),
        ({"name": "none"}, NoStoppingConfig),
        ({"name": "asha"}, AshaConfig),
        ({"name": "asha", "grace_epochs": 2, "reduction_factor": 2}, AshaConfig),
    ],
)
def test_the_section_is_that_of_its_name_and_none_without_one(
    small_sweep: MakeSweep, written: dict[str, Any], kind: type[SchedulerConfig]
) -> None:
    sweep = small_sweep(stopping=written)
    assert type(sweep.stopping) is kind
    assert sweep.to_dict()["stopping"] == written
    assert SweepConfig.restore(json.loads(json.dumps(sweep.to_dict()))) == sweep


@pytest.mark.parametrize("kind", KINDS)
def test_every_section_names_a_scheduler_that_can_be_imported_or_stops_no_trial(kind: type[SchedulerConfig]) -> None:
    (name,) = get_args(kind.model_fields["name"].annotation)
    section = kind(name=name)
    assert section.stops_trials == (kind.scheduler is not None)
    assert kind.scheduler is None or callable(resolve_name(kind.scheduler))


@pytest.mark.parametrize("name", ["ashaa", 3, None, ["asha"], {"asha": 1}])
def test_an_unknown_name_is_one_issue(issues: Callable[..., list[str]], sweep_file: Path, name: Any) -> None:
    (issue,) = issues(sweep_file, f"stopping={json.dumps({'name': name, 'grace_epochs': 2})}")
    assert issue.startswith(f"stopping.name must be 'none' or 'asha', not {json.dumps(name)}")
    assert issue.endswith("Did you mean asha?") == (name == "ashaa")


def test_without_stopping_there_are_no_rungs_and_no_scheduler(small_sweep: MakeSweep) -> None:
    sweep = small_sweep()
    assert not sweep.stopping.stops_trials
    assert sweep.stopping.rung_epochs(sweep.trial) == []
    assert scheduler(sweep) is None
    assert halving(sweep) is None
    assert halving(small_sweep(execution="packed")) is None


def test_asha_compares_all_trials_or_with_execution_packed_those_of_a_pack(small_sweep: MakeSweep) -> None:
    for execution in ("auto", "single"):
        sweep = small_sweep(stopping={"name": "asha"}, execution=execution)
        assert scheduler(sweep) is not None
        assert halving(sweep) is None
    packed = small_sweep(stopping={"name": "asha"}, execution="packed")
    assert scheduler(packed) is None
    assert halving(packed) is not None


class MedianConfig(SchedulerConfig):
    """The section of a scheduler that ships with nobody: all a new one needs, beside its code."""

    scheduler: ClassVar[str | None] = f"{__name__}:median_scheduler"

    name: Literal["median"] = "median"


def median_scheduler(*_: object) -> MedianStoppingRule:
    """Stop the trials below the median."""
    return MedianStoppingRule(time_attr="epoch", metric="objective", mode="min")


@pytest.mark.parametrize("execution", ["auto", "packed"])
def test_a_new_scheduler_needs_a_section_and_its_code_only(small_sweep: MakeSweep, execution: str) -> None:
    sweep = small_sweep(execution=execution, search={"model.hidden_size": {"int": [2, 9]}}, budget={"trials": 8})
    sweep = sweep.model_copy(update={"stopping": MedianConfig()})
    assert isinstance(scheduler(sweep), MedianStoppingRule)
    assert decide_packing(sweep).why_single == "stopping.name median compares all trials"


def test_the_recipe_with_early_stopping_stops_trials() -> None:
    assert load("mnist-deep").stopping.stops_trials


def test_in_the_json_schema_only_the_default_may_leave_its_name_out() -> None:
    definitions = json_schema()["$defs"]
    required = {kind.__name__: definitions[kind.__name__].get("required", []) for kind in KINDS}
    assert required == {"NoStoppingConfig": [], "AshaConfig": ["name"]}
