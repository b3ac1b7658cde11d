import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from sweeps.analysis.axes import SEED
from sweeps.analysis.confirmation import confirmation_sweep
from sweeps.cli.app import app
from sweeps.config import load
from sweeps.errors import InputError
from sweeps.storage import layout
from sweeps.storage.layout import find
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord
from sweeps.tracking.results import RankedTrial, load_result

SMALL = ["budget.trials=4", "training.epochs=2", "search.model.hidden_size={choice: [8, 16]}"]


@pytest.mark.slow
def test_the_leaders_train_again_on_new_seeds_and_are_ranked_by_their_means() -> None:
    runner = CliRunner()
    changes = [argument for change in SMALL for argument in ("--set", change)]
    assert runner.invoke(app, ["run", "quickstart", *changes]).exit_code == 0
    confirmed = load_result(find("latest"))
    done = runner.invoke(app, ["confirm", "latest", "--top", "2", "--seeds", "3", "--json"])
    assert done.exit_code == 0, done.output
    plain = json.loads(done.stdout)
    assert plain["confirms"] == confirmed.sweep

    result = load_result(find(plain["sweep"]))
    assert result.config.name == "quickstart-confirm"
    assert result.config.experiment == "quickstart"
    leaders = [dict(trial.point) for trial in confirmed.ranking[:2]]
    assert [point.point for point in result.points] == [
        leader | {SEED: seed} for seed in (1, 2, 3) for leader in leaders
    ]
    assert {len(mean["values"]) for mean in plain["means"]} == {3}
    values = {trial.trial: trial.metrics["valid/probe_error"] for trial in result.ranking}
    for mean in plain["means"]:
        of_trials = [values[trial] for trial in mean["trials"].values()]
        assert mean["mean"] == pytest.approx(sum(of_trials) / 3)
        assert len(set(of_trials)) > 1, "seeds change the result"

    shown = runner.invoke(app, ["best", plain["sweep"]]).stdout
    assert "Means over seeds:" in shown
    assert plain["verdict"] in shown
    # Confirmed again, the seeds are new once more, and a leader on several seeds counts once.
    again = confirmation_sweep(result, 5, 2)
    assert again.search[SEED].values == (4, 5)  # type: ignore[union-attr]
    assert again.n_trials == 4


def test_with_packed_execution_the_seeds_still_draw_their_own_batches() -> None:
    folder = layout.create("packed")
    config = load("quickstart", ["search={}", "execution=packed"])
    record = SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), 0, {}, {}, {}, "")
    Journal.create(folder.journal, record).close()
    trial = RankedTrial("0000", None, "0000", {}, 1, {"valid/probe_error": 0.1}, None, 1, None)
    result = replace(load_result(folder), ranking=[trial])
    assert confirmation_sweep(result, 1, 2).execution == "auto"


def test_a_sweep_that_ranks_nothing_is_not_confirmed() -> None:
    config = load("quickstart", SMALL)
    folder = layout.create(config.name)
    record = SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), 0, {}, {}, {}, "")
    Journal.create(folder.journal, record).close()
    with pytest.raises(InputError, match="must rank a trial to be confirmed"):
        confirmation_sweep(load_result(folder), 3, 5)
