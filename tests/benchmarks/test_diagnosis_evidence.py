"""False alarms, recall and cures of the diagnosis, written to docs/diagnosis-evidence.md.

`pytest -m benchmark -n 0 -s tests/benchmarks/test_diagnosis_evidence.py` measures them again. SWEEPS_BENCHMARK=quick
trains two networks of each label and writes nothing.
"""

import os
from pathlib import Path

import pytest
from diagnosis_cases import HEALTHY
from diagnosis_report import false_alarms, page
from diagnosis_runs import measure

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200), pytest.mark.usefixtures("real_mnist")]

PAGE = Path(__file__).parents[2] / "docs" / "diagnosis-evidence.md"
N_OF_EACH_IN_A_QUICK_RUN = 2
MOST_FALSE_ALARMS = 0.1


def test_few_healthy_networks_have_a_finding_above_a_note(tmp_path: Path, is_quick: bool) -> None:
    n_workers = min(2, len(os.sched_getaffinity(0)))
    runs = list(measure(tmp_path, n_workers, n_of_each=N_OF_EACH_IN_A_QUICK_RUN if is_quick else None))
    text = page(runs)
    print(text)
    if not is_quick:
        PAGE.write_text(text)
    n_healthy = sum(run.case.label == HEALTHY for run in runs)
    assert len(false_alarms(runs)) <= MOST_FALSE_ALARMS * n_healthy
