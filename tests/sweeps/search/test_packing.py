"""Which points share a pack, and how points are divided among workers."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import SweepConfig
from sweeps.search.packing import batches_of, decide_packing, packs

MakeSweep = Callable[..., SweepConfig]
SIZES: dict[str, Any] = {"search": {"model.hidden_size": {"int": [2, 64]}}, "budget": {"trials": 8}}
STACK = {"name": "stacked_denoising", "hidden_sizes": [8, 4]}


def alike(sweep: SweepConfig, *points: dict[str, Any]) -> bool:
    keys = [batches_of(sweep, sweep.trial_at(point)) for point in points]
    assert None not in keys
    return len(set(keys)) == 1


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("model.hidden_size", (8, 64)),
        ("model.noise", ({"kind": "gaussian", "level": 0.1}, {"level": 0.2})),
        ("model.weight_l1", (0.0, 1e-3)),
        ("training.learning_rate", (1e-3, 1e-2)),
        ("training.optimizer", ("adam", "sgd")),
    ],
)
def test_points_that_take_the_same_batches_share_a_pack(small_sweep: MakeSweep, path: str, values: Any) -> None:
    assert alike(small_sweep(), *({path: value} for value in values))


@pytest.mark.parametrize(
    ("path", "values"), [("training.batch_size", (32, 64)), ("training.epochs", (2, 3)), ("training.seed", (0, 1))]
)
def test_points_that_take_other_batches_do_not(small_sweep: MakeSweep, path: str, values: Any) -> None:
    assert not alike(small_sweep(), *({path: value} for value in values))


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("model.pretraining.epochs", (1, 2)),
        ("model.pretraining.batch_size", (32, 64)),
        ("model.hidden_sizes", ([8], [8, 4])),
    ],
)
def test_stacks_with_other_phases_do_not(small_sweep: MakeSweep, path: str, values: Any) -> None:
    sweep = small_sweep(model=STACK)
    assert alike(sweep, {"model.hidden_sizes": [8, 4]}, {"model.hidden_sizes": [9, 5]})
    assert not alike(sweep, *({path: value} for value in values))


def test_points_with_other_seeds_share_a_pack_with_execution_packed(small_sweep: MakeSweep) -> None:
    assert alike(small_sweep(execution="packed"), {"training.seed": 0}, {"training.seed": 1})


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"execution": "single"}, "execution is single"),
        ({"stopping": {"name": "asha"}}, "stopping.name asha compares all trials"),
    ],
)
def test_a_setting_that_forbids_packs_is_the_reason_for_single_points(
    small_sweep: MakeSweep, sections: dict[str, Any], reason: str
) -> None:
    sweep = small_sweep(**SIZES, **sections)
    assert batches_of(sweep, sweep.trial) is None
    packing = decide_packing(sweep)
    assert not packing.is_packed
    assert packing.largest(on_gpu=True) == 1
    assert reason in (packing.why_single or "")


def test_packs_that_are_halved_are_packed_with_execution_packed(small_sweep: MakeSweep) -> None:
    assert decide_packing(small_sweep(**SIZES, stopping={"name": "asha"}, execution="packed")).is_packed


def test_packs_are_larger_on_a_gpu(small_sweep: MakeSweep) -> None:
    packing = decide_packing(small_sweep(**SIZES))
    assert packing.why_single is None
    assert packing.largest(on_gpu=True) > packing.largest(on_gpu=False) > 1


@given(
    items=st.lists(st.sampled_from([None, "a", "b", "c"])),
    largest=st.integers(1, 9),
    concurrency=st.integers(1, 5),
)
def test_packs_hold_each_item_once_with_others_like_it(items: list[str | None], largest: int, concurrency: int) -> None:
    numbered = list(enumerate(items))
    made = packs(numbered, lambda item: item[1], largest=largest, concurrency=concurrency)
    assert sorted(item for pack in made for item in pack) == numbered
    assert all(0 < len(pack) <= largest for pack in made)
    assert all(len({kind for _, kind in pack}) == 1 for pack in made)
    assert all(len(pack) == 1 for pack in made if pack[0][1] is None)


@given(n_items=st.integers(1, 60), largest=st.integers(1, 9), concurrency=st.integers(1, 5))
def test_items_that_are_all_alike_are_divided_evenly(n_items: int, largest: int, concurrency: int) -> None:
    made = packs(range(n_items), lambda _: "alike", largest=largest, concurrency=concurrency)
    sizes = Counter(map(len, made))
    assert max(sizes) - min(sizes) <= 1
    assert len(made) >= min(n_items, concurrency)


@pytest.mark.parametrize(
    ("search", "is_packed"),
    [
        ({"model.hidden_size": {"int": [2, 64]}}, True),
        ({"training.batch_size": {"choice": [16, 32]}}, True),
        ({"training.seed": {"int": [0, 10**9]}}, False),
        ({"training.seed": {"grid": [1, 2, 3]}}, False),
    ],
    ids=str,
)
def test_a_sweep_packs_where_any_of_its_points_are_alike(
    small_sweep: MakeSweep, search: dict[str, Any], is_packed: bool
) -> None:
    algorithm = {"name": "grid" if "grid" in str(search) else "random"}
    packing = decide_packing(small_sweep(search=search, budget={"trials": 8}, algorithm=algorithm))
    assert packing.is_packed == is_packed
    assert ("no two points share batches" in (packing.why_single or "")) != is_packed
    assert (packing.largest(on_gpu=True) > 1) == is_packed


def test_one_point_alone_is_no_pack(small_sweep: MakeSweep) -> None:
    assert decide_packing(small_sweep()).why_single == "the sweep has one trial"
