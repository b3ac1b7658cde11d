"""The reference of the metrics that a sweep records, from the table of metrics."""

from generators.markdown import code, table
from sweeps.models.metric_table import EACH_VALIDATION, SWEEP_METRICS, SYSTEM_METRICS, TRIAL_METRICS, Metric

INTRODUCTION = """\
# Metrics

Every metric that a sweep records in MLflow. With `model.standardize: feature`, errors are in units of each feature's
standard deviation; else they are in the squared units of the data after `data.scale`. Missing values do not count.

"""

FAMILIES = (
    (
        "`train/...`, `pretrain/...`",
        "the batches of an epoch, while the weights change",
        "the trial's run, at each epoch",
    ),
    (
        "`valid/...`",
        "the split of `data.validate_on`, by default the validation split",
        "the trial's run, at each validated epoch (`training.validate_every`, and the last)",
    ),
    (
        "`test/...`",
        "the test split, which no search has seen",
        "the output of `sweeps evaluate`, and the gates of `sweeps promote`",
    ),
    (
        "`best/...`",
        "as the metric after `best/`, at the epoch by which the trial is ranked",
        "the run of each finished trial, and the sweep's run",
    ),
    ("`trials/...`", "the trials of the sweep", "the sweep's run, when it ends"),
    (
        "`system/...`",
        "the machine that trains the trial",
        "the trial's run, if [system metrics](../mlflow.md#system-metrics) are on",
    ),
)
BEST = """\
In the sweep's run, `best/` and an objective is a series: the value of the trial that ranks first, after each ended
trial.

"""


OF_A_SPLIT = f"""\
Measured {EACH_VALIDATION}, unless a line says otherwise. `sweeps evaluate` measures the same on the test split, and
names them `test/...`.

"""


def page() -> str:
    """Return the page."""
    of_a_split = [metric for metric in TRIAL_METRICS.values() if metric.is_of_a_split]
    of_training = [metric for metric in TRIAL_METRICS.values() if not metric.is_of_a_split]
    text = INTRODUCTION + table(("name", "measured on", "recorded in"), FAMILIES) + BEST + "## Of a split\n\n"
    text += OF_A_SPLIT + metrics_table(of_a_split)
    text += "## Of the training\n\n" + metrics_table(of_training)
    text += "## As objectives\n\n"
    text += "`objective.metric` can be any of these. By default, `objective.direction` is the natural one.\n\n"
    text += table(("metric", "direction"), ((code(m.name), direction(m)) for m in objectives()))
    text += "## Of a sweep\n\n" + table(("metric", "meaning"), ((code(n), what) for n, what in SWEEP_METRICS.items()))
    text += "## Of the machine\n\n"
    text += "MLflow's own monitors measure the whole machine. `{i}` is the number of a GPU.\n\n"
    return text + table(("metric", "meaning"), ((code(f"system/{n}"), what) for n, what in SYSTEM_METRICS.items()))


def metrics_table(metrics: list[Metric]) -> str:
    """Return a table of metrics."""
    rows = ((code(metric.name), meaning(metric), f"{metric.formula}; {metric.range}") for metric in metrics)
    return table(("metric", "meaning", "formula and range"), rows)


def meaning(metric: Metric) -> str:
    """Return what a metric means, what a trial must have to record it, and when it is measured, if that is unusual."""
    needs = f" Needs {metric.needs}." if metric.needs else ""
    when = f" Measured {metric.measured}." if metric.measured != EACH_VALIDATION else ""
    return metric.meaning + needs + when


def objectives() -> list[Metric]:
    """Return the metrics that can rank trials."""
    return [metric for metric in TRIAL_METRICS.values() if metric.is_objective]


def direction(metric: Metric) -> str:
    """Return the directions that an objective may have."""
    return f"{metric.better}, or the other" if metric.may_be_reversed else metric.better
