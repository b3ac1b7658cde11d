"""The tables of docs/diagnosis-evidence.md, from the runs of `diagnosis_runs`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from diagnosis_cases import HEALTHY, NAMES
from diagnosis_runs import N_ROUNDS, Run

from sweeps.models.diagnosis.findings import FindingName

_INTRODUCTION = """\
# Evidence for the diagnosis

`tests/benchmarks/test_diagnosis_evidence.py` writes this page. It trains healthy and faulty networks, each labelled
before it is trained, and diagnoses them as a sweep would, without Ray. To measure again (about half an hour on two
cores):

<!-- not run: takes half an hour -->
```bash
SWEEPS_DATA_DIR=/path/to/data pytest -m benchmark -n 0 -s tests/benchmarks/test_diagnosis_evidence.py
```

- **Healthy**: what a sensible user would run, among it the sixteen trials of the quickstart and small versions of the
  published experiments. Digits, MNIST, uniform and normal features, blobs; tables whose columns have equal scales,
  scales that differ by 10 or 30 times, and, with `model.standardize: feature`, scales that differ by up to 10¹² times
  (among them scikit-learn's wine and breast cancer data); shallow, deep, stacked and linear models; ReLU, ELU, tanh,
  sigmoid and linear units; short and long budgets.
- **Faulty**: the same with one fault injected. `tests/benchmarks/diagnosis_cases.py` has all settings; seeds are fixed.
- **Chosen on, held out**: the thresholds were chosen on one half of the runs. The other half has other seeds and other
  sizes, rates or penalties; its results were seen while the thresholds were chosen, so it is not blind.
- One pair changed its label after the first measurement: ReLU units under a `hidden_l1` of 0.05 and 0.1 were filed
  under dying relu. The diagnosis names the penalty, which is what was injected.
- One rule changed after both healthy networks on the breast cancer data, one of them held out, were found over-fitted:
  outliers raise the mean error on unseen rows, of PCA as much as of the networks. The rule now also compares typical
  rows. With the rule before, 3 of the 90 healthy networks would have had a finding above a note. The new rule also
  makes over-fitting easier to cure, since the finding disappears at a smaller gap.
"""
_CURE = f"""\
## Does the advice cure?

Each faulty run that has a finding above a note takes the advice of its gravest finding as it is: the `change` in the
JSON output, a new value for each setting. It trains again, and follows the advice of what it then has, up to {N_ROUNDS}
times. *Cured*: the first finding is gone and the validation error is no higher than before. *Gone*: the first finding
is gone at the end. *No worse*: the error at the end is no higher than before. *Error*: the median of the error at the
end over the error before. With `model.standardize: feature`, `valid/mse` is in other units than before. Runs that this
advice treats are therefore compared by the mean over the features of the error in units of the feature's variance,
measured on all validation samples, before and after. That is what the advice makes the network minimise; the error of
the largest features in raw units is not compared.
"""
_LIMITS = """\
A cure of identity copying is a smaller code, which must raise the error: see *gone*. Networks that memorise a few
samples are not cured by settings: weight decay and fewer epochs lower the error, but only more samples close the gap to
the training error.
"""


def page(runs: Sequence[Run]) -> str:
    """Return the page."""
    parts = [_INTRODUCTION, _summary(runs)]
    for title, held_out in (("Chosen on", False), ("Held out", True)):
        parts += [f"## {title}: confusion\n", _confusion([run for run in runs if run.case.is_held_out == held_out])]
    parts += [_CURE, _cures(runs), _LIMITS, "## What was missed\n", _missed(runs)]
    return "\n".join(parts)


def false_alarms(runs: Iterable[Run]) -> list[Run]:
    """Return the healthy runs with a finding above a note."""
    return [run for run in runs if run.case.label == HEALTHY and run.outcomes[0].serious]


def _summary(runs: Sequence[Run]) -> str:
    rows = []
    for title, half in (("chosen on", _half(runs, False)), ("held out", _half(runs, True)), ("all", runs)):
        healthy, faulty = _of(half, HEALTHY), [run for run in half if run.case.label != HEALTHY]
        alarmed, found = len(false_alarms(half)), sum(run.is_found for run in faulty)
        seen = sum(bool(run.outcomes[0].serious) for run in faulty)
        alarms = f"{alarmed} of {len(healthy)} ({alarmed / len(healthy):.0%})"
        rows.append(
            [title, alarms, f"{found} of {len(faulty)} ({found / len(faulty):.0%})", f"{seen} of {len(faulty)}"]
        )
    heading = [
        "",
        "healthy with a finding above a note",
        "faults found by name",
        "faulty with any finding above a note",
    ]
    return _table(heading, rows)


def _confusion(runs: Sequence[Run]) -> str:
    """One row a fault, one column a finding; counts of runs as failure or warning, and of notes after a plus sign."""
    names = [name for name in FindingName if any(_has(run, name) for run in runs)]
    rows = []
    for label in (HEALTHY, *NAMES):
        chosen = _of(runs, label)
        counts = [_count(chosen, name) for name in names]
        found = "" if label == HEALTHY else f"{sum(run.is_found for run in chosen)} of {len(chosen)}"
        rows.append([label, str(len(chosen)), found, *counts, str(sum(not run.outcomes[0].findings for run in chosen))])
    heading = ["injected", "runs", "found", *names, "no finding"]
    key = "Cells count runs with the finding as a failure or warning; `+n`: n more have it as a note.\n\n"
    return key + _table(heading, rows)


def _count(runs: Sequence[Run], name: FindingName) -> str:
    serious = sum(name in {finding.name for finding in run.outcomes[0].serious} for run in runs)
    notes = sum(_has(run, name) for run in runs) - serious
    return (str(serious) if serious else "") + (f" +{notes}" if notes else "")


def _cures(runs: Sequence[Run]) -> str:
    rows = []
    for label in NAMES:
        treated = [run for run in _of(runs, label) if len(run.outcomes) > 1]
        if not treated:
            rows.append([label, "0", *[""] * 6])
            continue
        counts = [sum(run.is_cured(n) for run in treated) for n in (1, N_ROUNDS)]
        gone, no_worse = sum(run.is_gone for run in treated), sum(run.is_no_worse for run in treated)
        free = sum(not run.outcomes[-1].serious for run in treated)
        ratio = f"{median(run.error_ratio for run in treated):.2g}"
        rows.append([label, str(len(treated)), *map(str, (*counts, gone, no_worse, free)), ratio])
    heading = [
        "injected",
        "treated",
        "cured by one change",
        f"cured within {N_ROUNDS}",
        "gone",
        "no worse",
        "no warning left",
        "error",
    ]
    return _table(heading, rows)


def _missed(runs: Sequence[Run]) -> str:
    lines = [f"- {_name(run)}: healthy, but {_listed(run)}" for run in false_alarms(runs)]
    faulty = [run for run in runs if run.case.label != HEALTHY]
    lines += [f"- {_name(run)}: {run.case.label}, but {_listed(run)}" for run in faulty if not run.is_found]
    treated = [run for run in faulty if len(run.outcomes) > 1 and not run.is_cured(N_ROUNDS)]
    for run in treated:
        tried = "; then ".join(outcome.followed for outcome in run.outcomes[1:])
        before, after = run.error(run.outcomes[0]), run.error(run.outcomes[-1])
        lines.append(f"- {_name(run)}: {run.case.label}, not cured by {tried}: error {before:.3g} → {after:.3g}")
    return "\n".join(lines or ["Nothing."]) + "\n"


def _listed(run: Run) -> str:
    found = Counter(f"{finding.name} ({finding.severity})" for finding in run.outcomes[0].findings)
    return ", ".join(found) or "no finding"


def _name(run: Run) -> str:
    return f"{run.case.name}, {run.case.document['data']['name']}{', held out' if run.case.is_held_out else ''}"


def _half(runs: Sequence[Run], is_held_out: bool) -> list[Run]:
    return [run for run in runs if run.case.is_held_out == is_held_out]


def _of(runs: Sequence[Run], label: str) -> list[Run]:
    return [run for run in runs if run.case.label == label]


def _has(run: Run, name: FindingName) -> bool:
    return name in {finding.name for finding in run.outcomes[0].findings}


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
