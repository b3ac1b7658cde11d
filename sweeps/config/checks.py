"""What the sections of a sweep must hold together; `trials` are those at the corners of the search space."""

from collections.abc import Callable, Mapping, Sequence

from sweeps.config.issues import Issue
from sweeps.config.search_space import Choices, Interval
from sweeps.config.sections import (
    AlgorithmConfig,
    BudgetConfig,
    ObjectiveConfig,
    PromotionConfig,
    StoppingConfig,
    TrialConfig,
)


def algorithm_issues(
    algorithm: AlgorithmConfig, budget: BudgetConfig, search: Mapping[str, Choices | Interval]
) -> list[Issue]:
    """A grid takes choices, the others take no grid and need an end."""
    issues = []
    for path, values in search.items():
        if algorithm.name == "grid" and isinstance(values, Interval):
            text = f"must be a grid or choice for algorithm grid, not {values.kind}: write {{grid: [...]}}"
            issues.append(Issue(f"search.{path}", text, ("algorithm.name",)))
        if algorithm.name != "grid" and values.kind == "grid":
            text = f"must not be grid for algorithm {algorithm.name}: write choice, or set algorithm.name to grid"
            issues.append(Issue(f"search.{path}", text, ("algorithm.name",)))
    if algorithm.name != "grid" and search and budget.trials is None:
        text = f"must be given: algorithm {algorithm.name} has no end of its own"
        issues.append(Issue("budget.trials", text, ("algorithm.name",)))
    return issues


def stopping_issues(
    stopping: StoppingConfig, objectives: Sequence[ObjectiveConfig], trials: Sequence[TrialConfig]
) -> list[Issue]:
    """Early stopping compares one number, at a rung that comes before the end."""
    if stopping.name == "none":
        return []
    issues = []
    if len(objectives) > 1:
        text = f"must be none with {len(objectives)} objectives, not {stopping.name}, which compares trials by one"
        issues.append(Issue("stopping.name", text, ("objective",)))
    fewest = min(trial.training.epochs for trial in trials)
    if stopping.grace_epochs >= fewest:
        text = f"must be below the {fewest} of training.epochs for a trial to be stopped, not {stopping.grace_epochs}"
        issues.append(Issue("stopping.grace_epochs", text, ("training.epochs",)))
    return issues


def patience_issues(objectives: Sequence[ObjectiveConfig], trials: Sequence[TrialConfig]) -> list[Issue]:
    """Patience ends a training before its last epoch, at an epoch that was measured, and keeps the best one."""
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
            text = f"must be below the {fewest} of training.epochs for patience to end a trial, not {most}"
            issues.append(Issue(f"training.{name}", text, ("training.epochs",)))
    if objectives[0].at == "last":
        text = "must be best with training.patience, which goes on past the best epoch to see that it was, not last"
        issues.append(Issue("objective.at", text, ("training.patience",)))
    return issues


def objective_issues(objectives: Sequence[ObjectiveConfig], trials: Sequence[TrialConfig]) -> list[Issue]:
    """Every trial must give the metrics that rank it, and their values must be comparable."""
    issues = []
    metrics = [objective.metric for objective in objectives]
    if len(set(metrics)) < len(metrics):
        issues.append(Issue("objective", f"must name each metric once, not {', '.join(metrics)}"))
    if len({objective.at for objective in objectives}) > 1:
        issues.append(Issue("objective", "must be taken at one epoch: best for all metrics, or last for all"))
    for metric in dict.fromkeys(metrics):
        if metric in REQUIREMENTS:
            issues += [_at_objective(metric, text, *concerns) for text, *concerns in REQUIREMENTS[metric](trials)]
    return issues


def promotion_issues(promotion: PromotionConfig, trials: Sequence[TrialConfig]) -> list[Issue]:
    """Every trial must give the loss by which champion and challenger are compared."""
    if promotion.compare == "denoise_mse" and not all(map(_is_noisy, trials)):
        text = "denoise_mse needs noise in every trial: let model.noise.level stay above 0"
        return [Issue("promotion.compare", text, ("model.noise",))]
    if promotion.compare not in ("probe_error", "classification_error"):
        return []
    issues = REQUIREMENTS[f"valid/{promotion.compare}"](trials)
    return [Issue("promotion.compare", f"{promotion.compare} {text}", tuple(concerns)) for text, *concerns in issues]


def data_issues(trials: Sequence[TrialConfig]) -> list[Issue]:
    """Fine-tuning on labels needs labels."""
    classifies = any(trial.model.classifies for trial in trials)
    if classifies and not trials[0].data.may_have_labels:
        text = f"must be reconstruction for data without labels ({trials[0].data.name}), not classification"
        return [Issue("model.fine_tuning", text, ("data", "model.name"))]
    return []


def _denoising(trials: Sequence[TrialConfig]) -> list[tuple[str, ...]]:
    noises = {str(trial.model.noise) for trial in trials}
    if any(not _is_noisy(trial) for trial in trials):
        return [("needs noise in every trial: let model.noise.level stay above 0", "model.noise")]
    if len(noises) > 1:
        text = "is taken at each trial's own noise, so the least noise would always win: rank by valid/probe_error"
        return [(text, "model.noise")]
    return []


def _probe(trials: Sequence[TrialConfig]) -> list[tuple[str, ...]]:
    issues: list[tuple[str, ...]] = []
    if any(trial.training.probe_samples == 0 for trial in trials):
        issues.append(("needs training.probe_samples above 0", "training.probe_samples"))
    if not trials[0].data.may_have_labels:
        issues.append((f"needs data with labels, and {trials[0].data.name} has none", "data"))
    return issues


def _classification(trials: Sequence[TrialConfig]) -> list[tuple[str, ...]]:
    if all(trial.model.classifies for trial in trials):
        return []
    return [("needs model.name stacked_denoising with model.fine_tuning classification in every trial", "model")]


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
        "counts penalties and noise, which this sweep varies, so the least of them would win: rank by valid/probe_error"
    )
    return [(text, "model")]


def _bottleneck(trials: Sequence[TrialConfig]) -> list[tuple[str, ...]]:
    if any(trial.model.code_size is None for trial in trials):
        return [("needs a model with a code, and linear has none: rank by valid/mse", "model.name")]
    n_features = trials[0].data.n_features
    largest = max(trial.model.code_size or 0 for trial in trials)
    if n_features is None or largest < n_features:
        return []
    text = (
        f"needs a code smaller than the {n_features} inputs in every trial, and it reaches {largest}: rank by valid/mse"
    )
    return [(text, "model", "data")]


REQUIREMENTS: dict[str, Callable[[Sequence[TrialConfig]], list[tuple[str, ...]]]] = {
    "train/loss": _training_loss,
    "valid/mse_over_pca": _bottleneck,
    "valid/denoise_mse": _denoising,
    "valid/probe_error": _probe,
    "valid/classification_error": _classification,
}


def _at_objective(metric: str, text: str, *concerns: str) -> Issue:
    return Issue("objective", f"{metric} {text}", concerns)


def _is_noisy(trial: TrialConfig) -> bool:
    # A stack is measured with the noise of its input, the first layer's.
    return trial.model.noise.level_of(0) > 0
