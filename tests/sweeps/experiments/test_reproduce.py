"""Which claims are judged by which sweeps, and the exit status of the command."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.config import SweepConfig, load, recipe_names
from sweeps.errors import ConfigError, InputError
from sweeps.experiments import blobs, deep, identity, numpy_2x2, reproduce
from sweeps.experiments.claims import Claim, ClaimResult, ClaimVerdict, RecipeVariant
from sweeps.experiments.reproduce import CLAIMS, Report, judge, names, select
from sweeps.experiments.trained_sweep import TrainedSweep
from sweeps.models.build import save_network
from sweeps.models.config import LinearConfig
from sweeps.models.networks.linear import LinearNetwork
from sweeps.storage.layout import SweepFolder, find
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.results import load_result

Record = Callable[..., str]
ELU = "hs2d-elu"
FALLING = [0.048, 0.045, 0.043, 0.042, 0.041]


@pytest.fixture
def record(own_home: Path) -> Record:
    """Record a sweep of a recipe with these validation errors by trial and epoch; None for a failed trial."""

    def write(
        config: SweepConfig,
        curves: Sequence[Sequence[float] | None],
        name: str = "20260101-000000-0000",
        state: SweepState | None = SweepState.FINISHED,
        pca_mse: float = 0.0557,
    ) -> str:
        folder = SweepFolder(own_home / "sweeps" / f"{config.name}-{name}")
        start = SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), 0)
        with Journal.create(folder.journal, start) as journal:
            for index, curve in enumerate(curves):
                point_id = f"{index:04d}"
                journal.start_point(PointRecord(point_id, index, {"training.seed": index}, f"seed={index}", 0))
                for epoch, error in enumerate(curve or [], start=1):
                    metrics = {"valid/mse": error, "valid/mse_over_pca": error / pca_mse}
                    journal.record_epoch(point_id, epoch, metrics, epoch)
                journal.end_point(point_id, PointEnd(PointState.FAILED if curve is None else PointState.FINISHED), 9)
            if state is not None:
                journal.end_sweep(state, "", {}, 10)
        return folder.id

    return write


def verdicts(report: Report) -> dict[str, str]:
    return {row.what: str(row.verdict) for row in report.rows}


def elu_claims() -> list[Claim]:
    return [claim for claim in CLAIMS if claim.variants == (deep.ELU,)]


def test_every_claim_is_about_recipes_that_ship() -> None:
    assert set(names()) <= set(recipe_names())


def test_an_unknown_experiment_is_refused_with_the_closest_name() -> None:
    with pytest.raises(ConfigError, match=r"'hs2d-elo' must be .* Did you mean hs2d-elu\?"):
        select(["hs2d-elo"])


def test_without_names_every_claim_is_judged() -> None:
    assert select([]) == list(CLAIMS)


def test_a_name_selects_every_claim_that_is_judged_by_its_recipe() -> None:
    assert {claim.experiment for claim in select(["da-500-c0"])} == {"da-500-c0", "da-50-c0"}


@pytest.mark.parametrize(
    ("curves", "expected"),
    [
        ([FALLING] * 5, ["reached", "reached", "reached"]),
        ([FALLING] * 3 + [[0.2] * 5] * 2, ["reached", "reached", "reached"]),  # two seeds do not move the median
        ([[0.052, *FALLING[1:]]] * 5, ["missed", "reached", "reached"]),
        ([[*FALLING[:4], 0.0391]] * 5, ["reached", "missed", "reached"]),
        ([[0.048, 0.045, 0.046, 0.042, 0.041]] * 5, ["reached", "reached", "missed"]),
        ([FALLING] * 4 + [None], ["missed", "missed", "missed"]),  # the published median is of five
    ],
)
def test_the_five_epochs_are_judged_by_the_median_of_the_seeds(
    record: Record, curves: Sequence[Sequence[float] | None], expected: list[str]
) -> None:
    record(load(ELU), curves)
    assert list(verdicts(judge(elu_claims())).values()) == expected


@pytest.mark.parametrize(
    ("errors", "reached"), [([0.0590, 0.0560], True), ([0.0590, 0.0563], False), ([0.0556, 0.0560], False)]
)
def test_linear_layers_must_come_down_to_pca_and_never_below(
    record: Record, errors: list[float], reached: bool
) -> None:
    sweep = TrainedSweep(load_result(find(record(load("hs2d-linear"), [errors]))))
    (claim,) = [claim for claim in CLAIMS if claim.variants == (deep.LINEAR,) and "linear layers" in claim.what]
    assert claim.judge(sweep).reached is reached


@pytest.mark.parametrize(("error", "verdict"), [(9.0e-5, "missed"), (9.1e-5, "reached"), (1.2e-4, "missed")])
def test_an_error_below_that_of_pca_is_no_success(record: Record, error: float, verdict: str) -> None:
    record(load("blobs-full-9"), [[error]], pca_mse=9.06e-5)
    report = judge([claim for claim in CLAIMS if claim.variants == (blobs.FULL,)])
    assert verdicts(report) == {"PCA with 9 components": "reached", "MSE of 9 units": verdict}


@pytest.mark.parametrize(("falls", "reached"), [(False, True), (True, False)])
def test_sparseness_must_grow_with_the_penalty_over_the_trials_that_learned(
    own_home: Path, falls: bool, reached: bool
) -> None:
    config = load("blobs-sparse")
    folder = SweepFolder(own_home / "sweeps" / "blobs-sparse-20260101-000000-0000")
    with Journal.create(folder.journal, SweepRecord(folder.id, config.name, "", config.to_dict(), 0)) as journal:
        for index in range(20):
            point_id, learned = f"{index:04d}", index < 10
            sparsity = (10 - index if falls else index) / 10 if learned else 1.0
            journal.start_point(PointRecord(point_id, index, {"model.hidden_l1": 10.0 ** (index - 20)}, "", 0))
            metrics = {"valid/mse": 1.0, "valid/code_sparsity": sparsity, "valid/r2": 0.9 if learned else 0.0}
            journal.record_epoch(point_id, 1, metrics, 1)
            journal.end_point(point_id, PointEnd(PointState.FINISHED), 9)
        journal.end_sweep(SweepState.FINISHED, "", {}, 10)
    (row,) = judge([claim for claim in CLAIMS if claim.variants == (blobs.SPARSE,)]).rows
    assert (row.verdict is ClaimVerdict.REACHED) is reached
    assert "10 of 20 trials" in row.ours


def test_the_newest_finished_sweep_with_unchanged_settings_is_judged(record: Record) -> None:
    record(load(ELU), [FALLING] * 5, "20260101-000000-0000")
    newest = record(load(ELU, ["resources.concurrency=1"]), [[0.06, *FALLING[1:]]] * 5, "20260102-000000-0000")
    record(load(ELU, ["training.batch_size=64"]), [FALLING] * 5, "20260103-000000-0000")
    record(load(ELU), [FALLING] * 2, "20260104-000000-0000", state=None)
    record(load(ELU), [FALLING] * 2, "20260105-000000-0000", state=SweepState.INTERRUPTED)
    report = judge(elu_claims())
    assert {row.sweeps for row in report.rows} == {(newest,)}
    assert verdicts(report)["valid MSE in epoch 1, median of the seeds"] == "missed"


def test_a_sweep_that_has_not_run_leaves_its_claims_not_measured() -> None:
    report = judge(elu_claims())
    assert set(verdicts(report).values()) == {"not measured"}
    assert report.exit_status == 3


@pytest.mark.parametrize(("curves", "status"), [([FALLING] * 5, 0), ([[0.06, *FALLING[1:]]] * 5, 3)])
def test_the_command_exits_with_0_if_every_claim_is_reached_and_with_3_if_one_is_missed(
    record: Record, curves: list[list[float]], status: int
) -> None:
    record(load(ELU), curves)
    done = CliRunner().invoke(app, ["reproduce", ELU, "--judge", "--json"])
    assert done.exit_code == status
    rows = json.loads(done.stdout)["rows"]
    assert rows[0]["values"] == [curve[0] for curve in curves]


def test_the_table_is_printed_as_markdown(record: Record) -> None:
    record(load(ELU), [FALLING] * 5)
    lines = CliRunner().invoke(app, ["reproduce", ELU, "--judge", "--markdown"]).stdout.splitlines()
    assert lines[0] == "| experiment | what | published | ours | seeds | tolerance | verdict |"
    assert lines[3].startswith("| hs2d-elu | valid MSE in epoch 5, median of the seeds | .0407 | ")
    assert lines[3].endswith(" | 0.0410 (0.0410) | 5 | .041 ± .0015 | reached |")


def test_histories_are_read_once_for_all_claims_on_curves(record: Record, histories_read: list[str]) -> None:
    sweep = TrainedSweep(load_result(find(record(load(ELU), [FALLING] * 5))))
    histories_read.clear()
    assert [trial.metric("valid/mse") for trial in sweep.trials] == [min(FALLING)] * 5
    assert histories_read == []
    for _ in range(2):
        assert [trial.curve("valid/mse") for trial in sweep.trials] == [FALLING] * 5
    assert sorted(histories_read) == ["0000", "0001", "0002", "0003", "0004"]


def test_one_seed_that_failed_is_counted_as_not_diagnosed(record: Record) -> None:
    record(load("numpy-2x2-faulty"), [[0.006]] * 9 + [None])
    (row,) = judge([claim for claim in numpy_2x2.CLAIMS if claim.what.startswith("diagnosed")]).rows
    assert (row.ours, row.n_seeds, row.verdict) == ("0 of 10", 10, ClaimVerdict.MISSED)


def test_the_largest_weight_is_that_of_each_output(record: Record) -> None:
    """Keras's weights are (inputs, outputs), so a column of them is an output; ours are (outputs, inputs)."""
    weights = torch.eye(5)
    weights[3:, 2] = 2.0  # two outputs look at the third input, and one input only has its largest weight elsewhere
    network = LinearNetwork(5)
    network.load_state_dict({"layer.weight": weights, "layer.bias": torch.zeros(5)})
    sweep = record(load("identity-uniform84"), [[0.1] * 100])
    path = find(sweep).point("0000").best_network
    path.parent.mkdir(parents=True)
    save_network(path, LinearConfig(), network)
    (claim,) = [claim for claim in identity.CLAIMS if claim.what.startswith("columns")]
    assert claim.judge(TrainedSweep(load_result(find(sweep)))).ours == "3 of 5"


def test_a_missing_checkpoint_leaves_its_claim_not_measured_and_is_reported(record: Record) -> None:
    record(load(ELU), [FALLING] * 5)
    claim = Claim(
        "test error", "1", "1", (deep.ELU,), lambda sweep: ClaimResult("", (), sweep.trials[0].network is not None)
    )
    report = judge([claim])
    assert verdicts(report) == {"test error": "not measured"}
    assert "best.safetensors, but it is missing" in report.failures[0]
    assert report.exit_status == 1


@pytest.fixture
def without_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data sets are read from an empty folder, and nothing is downloaded."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("SWEEPS_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.slow
@pytest.mark.usefixtures("without_mnist")
def test_experiments_that_cannot_start_are_bad_input_with_all_issues_at_once() -> None:
    with pytest.raises(InputError) as refused:
        reproduce.reproduce([claim for claim in deep.CLAIMS if claim.variants in ((deep.ELU,), (deep.LINEAR,))])
    assert {issue.partition(":")[0] for issue in refused.value.issues} == {"hs2d-elu", "hs2d-linear"}


@pytest.mark.slow
@pytest.mark.usefixtures("without_mnist")
def test_experiments_run_as_sweeps_on_one_ray_and_can_be_judged_again_afterwards() -> None:
    small = ("data.n_samples=1200", "data.n_train=1000", "data.n_valid=200", "training.epochs=1")
    good = RecipeVariant("identity-uniform84", "good", (*small, "model.initialization=identity"))
    bad = RecipeVariant("identity-uniform84", "bad", (*small, "training.learning_rate=1e30"))
    claims = [
        Claim(
            "loss",
            "0",
            "at most 1e-12",
            (variant,),
            lambda sweep: ClaimResult("", (), sweep.best.metric("valid/mse") <= 1e-12),
        )
        for variant in (bad, deep.LINEAR, good)
    ]
    log: list[str] = []
    report = reproduce.reproduce(claims, log=log.append)
    assert [row.verdict for row in report.rows] == [
        ClaimVerdict.NOT_MEASURED,
        ClaimVerdict.NOT_MEASURED,
        ClaimVerdict.REACHED,
    ]
    assert any(failure.startswith("hs2d-linear: ") for failure in report.failures)
    assert any(failure.startswith("identity-uniform84-bad-") for failure in report.failures)
    assert report.exit_status == 1
    assert len(log) == 2
    assert judge(claims).rows == report.rows
