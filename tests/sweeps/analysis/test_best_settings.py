"""The best trial's settings as a sweep file that trains the same trial."""

from pathlib import Path

from planted_sweeps import PlantedTrial, additive_sweep, draw_points, planted_config, record

from sweeps.analysis.best_settings import best_settings, trial_settings
from sweeps.config import load

SEARCH = {
    "model.hidden_sizes": {"choice": [[32, 16], [24]]},
    "model.noise": {"choice": [{"kind": "gaussian", "level": 0.1}, {"kind": "masking", "level": 0.3}]},
    "training.learning_rate": {"loguniform": [1e-4, 1e-1]},
    "training.seed": {"int": [0, 100]},
}


def test_the_file_has_the_config_of_the_best_trial(tmp_path: Path) -> None:
    result, path = additive_sweep(16, algorithm={"name": "tpe"}, stopping={"name": "none"}), tmp_path / "best.yaml"
    path.write_text(best_settings(result) or "")
    config = load(path)
    assert result.best is not None
    assert config.trial.to_dict() == result.config.trial_at(dict(result.best.point)).to_dict()
    assert config.n_trials == 1
    assert (config.name, config.experiment) == ("planted-best", "planted")


def test_lists_and_sections_are_written_exactly(tmp_path: Path) -> None:
    config = planted_config(SEARCH, model={"name": "deep", "code_size": 2})
    trials = [PlantedTrial(point, [{"valid/mse": 1.0}]) for point in draw_points(SEARCH, 6)]
    result = record(config, trials)
    for index, trial in enumerate(result.ranking):
        path = tmp_path / f"{index}.yaml"
        path.write_text(trial_settings(result, trial))
        assert load(path).trial.to_dict() == config.trial_at(dict(trial.point)).to_dict()


def test_without_a_ranked_trial_there_is_none() -> None:
    assert best_settings(record(planted_config(), [])) is None
