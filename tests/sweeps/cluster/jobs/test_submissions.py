"""Sweeps as the jobs of a cluster describe them, which everybody with access to the cluster may write."""

from typing import Any

import pytest
from listed_jobs import cluster_with

from sweeps.cli.display.listing import listing_rows
from sweeps.cluster.jobs.submissions import all_submitted
from sweeps.errors import ClusterError
from sweeps.tracking.person import MAX_CHARACTERS

SWEEP = "small-20260101-000000-abcd"


def job(**changes: Any) -> dict[str, Any]:
    metadata = {"sweeps.sweep": SWEEP, "sweeps.owner": "me", "sweeps.trials": "4"}
    plain = {"type": "SUBMISSION", "submission_id": SWEEP, "status": "RUNNING", "entrypoint": "", "start_time": 1}
    return plain | {"metadata": metadata} | changes


def test_a_job_is_a_submitted_sweep() -> None:
    (found,) = all_submitted(cluster_with([job()]))
    assert (found.sweep, found.job, found.owner, found.n_trials, found.started_ms) == (SWEEP, SWEEP, "me", 4, 1)


@pytest.mark.parametrize("sweep", ["--force", "../../etc", "a/b", "", "a;b", "x" * 300, "a\n", "..", "a\x1b[2J"])
def test_jobs_whose_ids_cannot_be_of_a_sweep_are_left_out(sweep: str) -> None:
    forged = [job(metadata={"sweeps.sweep": sweep}), job(submission_id=sweep or "-")]
    assert [found.sweep for found in all_submitted(cluster_with([*forged, job()]))] == [SWEEP]


def test_counts_times_and_owners_are_bounded() -> None:
    metadata = {"sweeps.sweep": SWEEP, "sweeps.owner": "x" * 100_000, "sweeps.trials": "9" * 100_000}
    for start_time in (10**17, -(10**17)):
        found = all_submitted(cluster_with([job(metadata=metadata, start_time=start_time)]))
        assert (len(found[0].owner), found[0].n_trials, found[0].started_ms) == (MAX_CHARACTERS, None, None)
        assert listing_rows([], found, [])[0]["started"] is None


@pytest.mark.parametrize(
    "answer", [5, "jobs", [5], [[]], {"a": 1}, [{}], [job(status="NEW")], [job(metadata=[1])], None]
)
def test_an_answer_of_another_form_is_one_line(answer: Any) -> None:
    with pytest.raises(ClusterError, match="failed to list its jobs") as error:
        all_submitted(cluster_with(answer))
    assert len(str(error.value)) < 500
