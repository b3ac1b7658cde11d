"""Ties of a sweep's ranking, from the files of its trials, and where they are shown."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sweeps.analysis.report import ranking as report
from sweeps.analysis.report.source import ReportSource
from sweeps.cli.display import sweep as display
from sweeps.cli.display.ranking_rows import ranking_rows
from sweeps.config import SweepConfig
from sweeps.storage import layout
from sweeps.storage.private_files import make_folder
from sweeps.storage.sample_values_file import dumps, place
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import EntryKind, PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.results import SweepResult, load_result, read_result
from sweeps.tracking.sweep_end import record_outcome

Values = Mapping[str, NDArray[np.float32]]
Write = Callable[..., SweepResult]


@pytest.fixture
def write(small_sweep: Callable[..., SweepConfig]) -> Write:
    """A sweep of trials with these values of each validation sample; those in `without` keep no file."""

    def write(
        values: Values, *, metric: str = "valid/mse", without: tuple[str, ...] = (), epoch: int = 1
    ) -> SweepResult:
        config = small_sweep(objective={"metric": metric}, budget={"trials": len(values)})
        folder = layout.create(config.name)
        with Journal.create(
            folder.journal, SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), 0)
        ) as journal:
            for index, (trial, own) in enumerate(values.items()):
                journal.start_point(PointRecord(trial, index, {}, f"{trial} run", 0))
                journal.record_epoch(trial, 1, {metric: float(own.mean(dtype="float64"))}, 1)
                journal.end_point(trial, PointEnd(PointState.FINISHED, None, {}, None), 2)
                if trial not in without:
                    make_folder(folder.point(trial).path)
                    place(folder.point(trial)).write_bytes(dumps(metric, epoch, own))
            journal.end_sweep(SweepState.FINISHED, "", {}, 3)
        return load_result(folder)

    return write


@pytest.fixture
def planted() -> Values:
    """Two equal leaders, and two trials that are worse."""
    generator = np.random.default_rng(0)
    hard = generator.exponential(size=300)
    factors = {"0000": 1.5, "0001": 1.0, "0002": 1.002, "0003": 2.0}
    return {t: (f * hard * np.exp(0.1 * generator.normal(size=300))).astype(np.float32) for t, f in factors.items()}


def test_the_equal_leaders_tie_and_the_others_do_not(write: Write, planted: Values) -> None:
    result = write(planted)
    leader, second = (trial.trial for trial in result.ranking[:2])
    ties = result.ties

    assert {leader, second} == {"0001", "0002"}
    assert ties is not None
    assert (ties.leader, list(ties.tied), ties.unknown) == (leader, [second], {})
    assert [ties.is_tie(trial.trial) for trial in result.ranking] == [True, True, False, False]
    gap = planted["0003"].mean() - planted[leader].mean()
    assert ties.intervals["0003"].difference == pytest.approx(gap, rel=1e-5)
    assert 0 < ties.intervals["0003"].low < gap < ties.intervals["0003"].high
    assert ties.in_words() == (
        f"1 of 4 trials is a statistical tie with {leader} at 95 %: the order among them may be chance"
    )


def test_every_output_marks_the_tie(write: Write, planted: Values, capsys: pytest.CaptureFixture[str]) -> None:
    result = write(planted)
    display.print_ranking(result, top=4)
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[1] == "tie" for line in lines[1:5]] == [False, True, False, False]
    assert "1 of 4 trials is a statistical tie with" in lines[5]
    assert result.trials()["tie"].tolist() == [True, True, False, False]
    assert [row["tie"] for row in ranking_rows(result)] == [True, True, False, False]
    source = ReportSource(result, {}, 0)
    assert [row["mark"] for row in report.ranking_rows(source)] == ["best", "tie", "", ""]
    assert report.verdict(source)[-1].startswith("1 of 4 trials is a statistical tie with")
    plain = json.loads(json.dumps(result.to_dict(top=2)))
    assert plain["ties"]["tied"] == [result.ranking[1].trial]
    assert plain["ties"]["intervals"]["0003"]["low"] > 0


def test_mlflow_gets_the_tie_as_a_tag_and_in_the_description(write: Write, planted: Values) -> None:
    result = write(planted)
    with Journal.open(result.folder.journal) as journal:
        for _ in range(2):  # an unchanged ranking is not recorded again
            record_outcome(journal, read_result(journal, result.folder), SweepState.FINISHED, {}, 9)
        ranks = journal.entries(EntryKind.RANK)
        assert len(ranks) == 4
        ties = {entry.point_id: entry.body["tags"]["sweeps.tie"] for entry in ranks}
        assert "2nd (statistical tie): " in journal.sweep().description
    assert ties == {"0000": "false", "0001": "true", "0002": "true", "0003": "false"}


def test_a_single_better_trial_is_said_to_be_better(write: Write, planted: Values) -> None:
    result = write({trial: values for trial, values in planted.items() if trial != "0002"})

    assert result.ties is not None
    assert (
        result.ties.in_words() == "0001 is better than each of the 2 other trials at 95 % on these validation samples"
    )


def test_sweeps_of_earlier_versions_rank_as_before_without_ties(
    write: Write, planted: Values, capsys: pytest.CaptureFixture[str]
) -> None:
    result = write(planted, without=tuple(planted))
    display.print_ranking(result, top=4)

    assert "tie" not in capsys.readouterr().out
    assert [trial.trial for trial in result.ranking][2:] == ["0000", "0003"]
    assert result.ties is not None
    assert set(result.ties.unknown) == set(planted)
    assert "kept no value of valid/mse" in result.ties.unknown["0001"]
    assert result.trials()["tie"].isna().all()
    with Journal.open(result.folder.journal) as journal:
        record_outcome(journal, read_result(journal, result.folder), SweepState.FINISHED, {}, 9)
        assert "tie" not in journal.sweep().description


def test_a_trial_without_values_is_unknown_and_the_others_are_compared(write: Write, planted: Values) -> None:
    result = write(planted, without=("0003",))

    assert result.ties is not None
    assert result.ties.is_tie("0003") is None
    assert result.ties.in_words().endswith("; unknown for 1 more")


def test_values_of_another_epoch_or_of_another_mean_are_not_used(write: Write, planted: Values) -> None:
    stale = write(planted, epoch=2).ties
    assert stale is not None
    assert "is ranked at epoch 1" in stale.unknown["0003"]

    result = write(planted)
    other = dumps("valid/mse", 1, planted["0000"] + 1)
    place(result.folder.point("0000")).write_bytes(other)
    place(result.folder.point("0003")).write_bytes(b"damaged")
    found = load_result(result.folder).ties
    assert found is not None
    assert "its values have the mean" in found.unknown["0000"]
    assert "must be a file of arrays" in found.unknown["0003"]
    assert len(found.tied) == 1


def test_several_objectives_say_nothing(write: Write, planted: Values) -> None:
    result = write(planted)
    config = SweepConfig.from_dict(
        result.config.to_dict() | {"objective": [{"metric": "valid/mse"}, {"metric": "valid/r2"}]}
    )

    assert replace(result, config=config).ties is None


def test_few_samples_are_unknown(write: Write, planted: Values) -> None:
    result = write({trial: values[:10] for trial, values in planted.items()})

    assert result.ties is not None
    assert "the validation split has 10 samples" in result.ties.unknown["0001"]
