"""What restarts a driver that has failed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sweeps.cluster.jobs import supervisor
from sweeps.cluster.jobs.supervisor import supervise
from sweeps.errors import InputError
from sweeps.storage import layout
from sweeps.storage.layout import home

SWEEP = "small-20260101-000000-abcd"


@pytest.fixture(autouse=True)
def job_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the job runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(supervisor, "RESTART_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(supervisor.signal, "signal", lambda *_: None)
    (tmp_path / "sweep.yaml").write_text("data: {name: digits}\n")
    return tmp_path


@pytest.fixture
def drivers(monkeypatch: pytest.MonkeyPatch) -> "Drivers":
    made = Drivers()
    monkeypatch.setattr(supervisor.Driver, "run", lambda _, arguments: made.run(arguments))
    return made


class Drivers:
    """Drivers that end one after another with the given statuses; a negative one is a signal."""

    def __init__(self) -> None:
        self.statuses: Iterator[int] = iter(())
        self.given: list[list[str]] = []
        self.has_recorded = True

    def run(self, arguments: Sequence[str]) -> int:
        self.given.append(list(arguments))
        if self.has_recorded:
            (home() / "sweeps" / SWEEP).mkdir(parents=True, exist_ok=True)
            (home() / "sweeps" / SWEEP / "journal.db").touch()
        return next(self.statuses)


@pytest.mark.parametrize(("status", "of_the_job"), [(0, 0), (3, 0), (2, 2), (130, 130)])
def test_a_driver_that_has_ended_is_not_restarted(drivers: Drivers, status: int, of_the_job: int) -> None:
    drivers.statuses = iter([status])
    assert supervise(SWEEP, ["run", "sweep.yaml", "--id", SWEEP]) == of_the_job
    assert drivers.given == [["run", "sweep.yaml", "--id", SWEEP]]


def test_a_driver_that_fails_is_restarted_to_resume(drivers: Drivers, capsys: pytest.CaptureFixture[str]) -> None:
    drivers.statuses = iter([-9, -11, 0])
    assert supervise(SWEEP, ["extend", SWEEP, "--trials", "3"]) == 0
    assert drivers.given == [["extend", SWEEP, "--trials", "3"], ["resume", SWEEP], ["resume", SWEEP]]
    assert (
        capsys.readouterr().out.splitlines()[-1] == "sweeps: the driver ended with status -11: restarting driver (2/3)"
    )


def test_a_driver_that_fails_before_it_has_recorded_anything_runs_again(drivers: Drivers) -> None:
    drivers.statuses, drivers.has_recorded = iter([-9, 0]), False
    assert supervise(SWEEP, ["run", "sweep.yaml", "--id", SWEEP]) == 0
    assert drivers.given == [["run", "sweep.yaml", "--id", SWEEP]] * 2


def test_restarts_are_bounded(drivers: Drivers, capsys: pytest.CaptureFixture[str]) -> None:
    drivers.statuses = iter([-9] * 10)
    assert supervise(SWEEP, ["resume", SWEEP]) == 1
    assert len(drivers.given) == 1 + supervisor.MAX_RESTARTS
    assert f"sweeps resume {SWEEP}" in capsys.readouterr().out.splitlines()[-1]


def test_a_cluster_without_a_tracking_store_logs_what_to_set(
    drivers: Drivers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert supervise(SWEEP, ["resume", SWEEP]) == 2
    assert capsys.readouterr().out.startswith("sweeps: MLFLOW_TRACKING_URI must be set in the environment")
    assert drivers.given == []


def test_shipped_arrays_are_kept_by_their_digest(
    drivers: Drivers, job_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = job_folder / "unpacked" / "sweeps_data_c0ffee" / "images.npy"
    shipped.parent.mkdir(parents=True)
    shipped.write_bytes(b"an array")
    monkeypatch.syspath_prepend(str(job_folder / "unpacked"))
    (job_folder / "sweep.yaml").write_text("data: {name: array, path: sweeps_data_c0ffee/images.npy}\n")
    drivers.statuses = iter([0])
    supervise(SWEEP, ["run", "sweep.yaml", "--id", SWEEP])
    kept = home() / "data" / "arrays" / "c0ffee" / "images.npy"
    assert kept.read_bytes() == b"an array"
    assert drivers.given[0][-2:] == ["--set", f"data.path={kept}"]


@pytest.mark.parametrize(
    "shipped",
    ["sweeps_data_../images.npy", "sweeps_data_c0ffee/..", "sweeps_data_c0ffee/../../images.npy", "sweeps_data_"],
)
def test_a_shipped_array_leads_out_of_no_folder(
    shipped: str, drivers: Drivers, job_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = job_folder / "unpacked"
    for folder in ("sweeps_data_..", "sweeps_data_c0ffee"):
        (unpacked / folder).mkdir(parents=True)
        (unpacked / folder / "images.npy").write_bytes(b"planted")
    (unpacked.parent / "images.npy").write_bytes(b"planted")
    monkeypatch.syspath_prepend(str(unpacked))
    (job_folder / "sweep.yaml").write_text(f"data: {{name: array, path: {shipped}}}\n")
    drivers.statuses = iter([0])
    supervise(SWEEP, ["run", "sweep.yaml", "--id", SWEEP])
    assert drivers.given == [["run", "sweep.yaml", "--id", SWEEP]]
    assert not list(home().rglob("images.npy"))


@pytest.mark.parametrize("sweep", ["../../etc", "--force", "", "a/b"])
def test_an_id_that_names_no_folder_is_refused(sweep: str, drivers: Drivers) -> None:
    with pytest.raises(InputError, match="an id must have"):
        supervise(sweep, ["resume", sweep])
    with pytest.raises(InputError, match="an id must have"):
        layout.at(sweep).point("0000")
    assert drivers.given == []
