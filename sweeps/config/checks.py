"""Checks across the sections of a sweep; `trials` are those at the corners of the search space."""

from collections.abc import Callable, Sequence

from sweeps.config.issues import Issue
from sweeps.config.objective import ObjectiveConfig
from sweeps.config.promotion import PromotionConfig
from sweeps.config.sections import TrialConfig
from sweeps.models.config import FAMILIES, NetworkSettings


def patience_issues(objectives: Sequence[ObjectiveConfig], trials: Sequence[TrialConfig]) -> list[Issue]:
    """Patience stops a training before its last epoch, at an epoch with metrics, and keeps the best epoch."""
    patient = [trial.training for trial in trials if trial.training.patience is not None]
    if not patient:
        return []
    issues = []
    fewest = min(training.epochs for training in patient)
    for name, most in (
        ("patience", max(training.patience or 0 for training in patient)),
        ("validate_every", max(training.validate_every for training in patient)),
    ):
        if most >= fewest:
            text = f"must be below training.epochs ({fewest}) for patience to stop a trial, not {most}: lower it"
            issues.append(Issue(f"training.{name}", text, ("training.epochs",)))
    if objectives[0].at == "last":
        text = "must be best with training.patience, which trains past the best epoch, not last: set it to best"
        issues.append(Issue("objective.at", text, ("training.patience",)))
    return issues


def objective_issues(objectives: Sequence[ObjectiveConfig], trials: Sequence[TrialConfig]) -> list[Issue]:
    """Every trial must have the metrics that rank it, and their values must be comparable."""
    issues = []
    metrics = [objective.metric for objective in objectives]
    if len(set(metrics)) < len(metrics):
        text = f"must name each metric once, not {', '.join(metrics)}: remove the repeated one"
        issues.append(Issue("objective", text))
    if len({objective.at for objective in objectives}) > 1:
        text = "must have the same `at` for all metrics, not best and last: set all to best, or all to last"
        issues.append(Issue("objective", text))
    for metric in dict.fromkeys(metrics):
        if metric in REQUIREMENTS:
            issues += [_at_objective(metric, text, *concerns) for text, *concerns in REQUIREMENTS[metric](trials)]
        issues += _unit_issues(metric, trials)
    return issues


def promotion_issues(promotion: PromotionConfig, trials: Sequence[TrialConfig]) -> list[Issue]:
    """Every trial must have the loss that compares champion and challenger."""
    if promotion.compare == "denoise_mse" and not all(map(_is_noisy, trials)):
        text = "denoise_mse needs noise in every trial, and some have none: keep model.noise.level above 0"
        return [Issue("promotion.compare", text, ("model.noise",))]
    if promotion.compare not in ("probe_error", "classification_error"):
        return []
    issues = REQUIREMENTS[f"valid/{promotion.compare}"](trials)
    return [Issue("promotion.compare", f"{promotion.compare} {text}", tuple(concerns)) for text, *concerns in issues]


def data_issues(trials: Sequence[TrialConfig]) -> list[Issue]:
    """Training on labels needs labels."""
    if trials[0].data.may_have_labels:
        return []
    return [
        Issue(
            setting.path,
            f"must be {setting.without_labels} for data without labels ({trials[0].data.name}), not "
            f"{setting.with_labels}: set it to {setting.without_labels}, or use labelled data",
            ("data", "model.name"),
        )
        for setting in dict.fromkeys(trial.model.labels_setting for trial in trials if trial.model.classifies)
        if setting is not None
    ]


def _denoising(trials: Sequence[TrialConfig]) -> list[tuple[str, ...]]:
    noises = {str(trial.model.noise) for trial in trials}
    if any(not _is_noisy(trial) for trial in trials):
        return [("needs noise in every trial, and some have none: keep model.noise.level above 0", "model.noise")]
    if len(noises) > 1:
        text = "is measured at each trial's own noise, so the least noise would always win: rank by valid/probe_error"
        return [(text, "model.noise")]
    return []


def _probe(trials: Sequence[TrialConfig]) -> list[tuple[str, ...]]:
    issues: list[tuple[str, ...]] = []
    if any(trial.training.probe_samples == 0 for trial in trials):
        text = "needs training.probe_samples above 0 in every trial, not 0: raise it"
        issues.append((text, "training.probe_samples"))
    if not trials[0].data.may_have_labels:
        data = trials[0].data
        source = f"set {data.labels_setting}" if data.labels_setting else "use labelled data"
        text = f"needs data with labels, and {data.name} has none: {source}, or use another metric"
        issues.append((text, "data"))
    return issues


def _classification(trials: Sequence[TrialConfig]) -> list[tuple[str, ...]]:
    if all(trial.model.classifies for trial in trials):
        return []
    ways = [
        f"model.name {family.model_fields['name'].default} with {setting.path} {setting.with_labels}"
        for family in FAMILIES
        if (setting := family.labels_setting) is not None
    ]
    text = f"needs {' or '.join(ways)} in every trial, and some do not classify: set both, or use another metric"
    return [(text, "model")]


def _training_loss(trials: Sequence[TrialConfig]) -> list[tuple[str, ...]]:
    losses = {
        (
            model.loss,
            model.loss_reduction,
            model.penalty_reduction,
            str(model.noise),
            model.weight_l1,
            model.weight_l2,
            model.hidden_l1,
        )
        for model in (trial.model for trial in trials)
    }
    if len(losses) == 1:
        return []
    text = (
        "includes penalties and noise, which this sweep varies, so the least of them would win: rank by "
        "valid/probe_error"
    )
    return [(text, "model")]


def _bottleneck(trials: Sequence[TrialConfig]) -> list[tuple[str, ...]]:
    for trial in trials:
        if trial.model.code_size is None:
            text = f"needs a model with a code, and {trial.model.name} has none: rank by valid/mse"
            if isinstance(trial.model, NetworkSettings):
                text = (
                    f"needs the size of the code, and {trial.model.name} does not say it: give its Settings a "
                    "code_size, a field or a property, or rank by valid/mse"
                )
            return [(text, "model.name")]
    n_features = trials[0].data.n_features
    largest = max(trial.model.code_size or 0 for trial in trials)
    if n_features is None or largest < n_features:
        return []
    text = (
        f"needs a code smaller than the {n_features} inputs in every trial, and it reaches {largest}: rank by valid/mse"
    )
    return [(text, "model", "data")]


# Metrics in units of the reconstruction error, or relative to another one.
_ERRORS = ("train/loss", "valid/mse", "valid/r2", "valid/mse_over_pca", "valid/denoise_mse")
REQUIREMENTS: dict[str, Callable[[Sequence[TrialConfig]], list[tuple[str, ...]]]] = {
    "train/loss": _training_loss,
    "valid/mse_over_pca": _bottleneck,
    "valid/denoise_mse": _denoising,
    "valid/probe_error": _probe,
    "valid/classification_error": _classification,
}


def _unit_issues(metric: str, trials: Sequence[TrialConfig]) -> list[Issue]:
    """Errors of trials must be in the same units, which model.standardize decides."""
    ways = {trial.model.standardize for trial in trials}
    # Only the training loss is in units of a sample's deviation.
    differ = len(ways) > 1 if metric == "train/loss" else "feature" in ways and len(ways) > 1
    if metric not in _ERRORS or not differ:
        return []
    text = (
        f"must be in the same units in every trial, and model.standardize {' and '.join(sorted(ways))} have different "
        "ones: keep one of them, or rank by valid/probe_error"
    )
    return [_at_objective(metric, text, "model.standardize")]


def _at_objective(metric: str, text: str, *concerns: str) -> Issue:
    return Issue("objective", f"{metric} {text}", concerns)


def _is_noisy(trial: TrialConfig) -> bool:
    # The metrics of a stacked model use the noise of its input: that of the first layer.
    return trial.model.noise.level_of(0) > 0
