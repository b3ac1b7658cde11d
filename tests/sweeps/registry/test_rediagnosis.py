"""A network is diagnosed as it was at its best epoch."""

from typing import Any

import pytest
from challengers import STACK, TRAINING

from sweeps.evaluation import load_best_network
from sweeps.models.diagnosis.findings import FindingName
from sweeps.registry.benchmark import Benchmark
from sweeps.registry.rediagnosis import Rediagnosis, rediagnose
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.segment_writer import SegmentWriter
from sweeps.tracking.results import SweepResult


def rediagnosed(benchmark: Benchmark, result: SweepResult) -> Rediagnosis:
    ranked = result.ranking[0]
    return rediagnose(result, ranked, benchmark.trial, benchmark.arrays, load_best_network(result, ranked.trial))


@pytest.mark.parametrize(
    "sections",
    [
        {"model": {"name": "shallow", "hidden_size": 8, "weight_l1": 100.0}},
        {"model": {"name": "shallow", "hidden_size": 80}, "training": TRAINING | {"epochs": 20}},
        {"training": TRAINING | {"learning_rate": 1e-6}},
        {"model": STACK},
    ],
    ids=["collapsed", "copied", "hardly trained", "classifier"],
)
def test_a_rediagnosis_at_the_last_epoch_finds_what_the_training_found(run_one: Any, sections: dict[str, Any]) -> None:
    benchmark, result = run_one(objective={"metric": "valid/mse", "at": "last"}, **sections)
    found = rediagnosed(benchmark, result)
    assert (
        found.epoch
        == found.last_epoch
        == sections.get("training", TRAINING)["epochs"] + (benchmark.trial.n_pretraining_epochs)
    )
    assert list(found.findings) == list(found.at_end or [])
    if sections != {"model": STACK}:
        assert found.findings
    stored = {finding["name"]: finding for finding in reversed(result.ranking[0].diagnosis or ())}
    assert found.advice.keys() == stored.keys()
    for name, change in found.advice.items():
        assert stored[name]["advice"].lower().startswith(change.lower())
        assert all(path in change for path in stored[name]["change"])


def test_a_network_with_an_earlier_best_epoch_is_diagnosed_at_that_epoch(run_one: Any) -> None:
    slow = TRAINING | {"epochs": 24, "learning_rate": 1e-3}
    benchmark, result = run_one(training=slow, objective={"metric": "valid/code_sparsity"})
    found = rediagnosed(benchmark, result)
    assert (found.epoch, found.last_epoch) == (1, 24)
    assert FindingName.HARDLY_TRAINED in found.findings
    assert FindingName.HARDLY_TRAINED not in (found.at_end or [])
    assert FindingName.STILL_IMPROVING not in found.findings


def test_a_network_is_diagnosed_from_the_segments_if_the_journal_is_missing(run_one: Any) -> None:
    benchmark, result = run_one(training=TRAINING)
    expected = rediagnosed(benchmark, result)
    with Journal.open(result.folder.journal) as journal:
        SegmentWriter(journal, result.folder).commit()
    result.folder.journal.unlink()
    assert rediagnosed(benchmark, result) == expected
