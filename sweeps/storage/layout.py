"""Where a sweep's files lie: one folder per sweep under `SWEEPS_HOME`, a path or the URL of an object store."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from sweeps.errors import InputError, StorageError, UnknownSweep
from sweeps.storage import atomic_write
from sweeps.storage.object_store import Place, RemotePath, patience, place
from sweeps.storage.private_files import explained_errors, make_folder
from sweeps.storage.sweep_ids import LATEST, folder_name, matches, new_id

# More than a sweep writes before it trains: its sweep file and a journal with one entry.
_START_BYTES = 2**20


def storage() -> Place:
    """Return where sweeps, their checkpoints and arrays are stored: `SWEEPS_HOME`, by default `~/.sweeps`."""
    found = place(os.environ.get("SWEEPS_HOME") or "~/.sweeps")
    return found.expanduser().absolute() if isinstance(found, Path) else found


def home() -> Path:
    """Return the folder of cached data and of journals, on a local disk.

    It is `SWEEPS_LOCAL`, by default `SWEEPS_HOME` if that is a path, else `~/.sweeps`.
    """
    own, stored = os.environ.get("SWEEPS_LOCAL"), storage()
    if own or isinstance(stored, RemotePath):
        return Path(own or "~/.sweeps").expanduser().absolute()
    return stored


@dataclass(frozen=True)
class PointFolder:
    """The files of one point."""

    path: Place

    @property
    def point_id(self) -> str:
        """Return the point's id, the folder's name."""
        return self.path.name

    @property
    def checkpoint(self) -> Place:
        """Return Lightning's last checkpoint; it is removed once the point has ended."""
        return self.path / "last.safetensors"

    @property
    def end(self) -> Place:
        """Return the point's last report, written when it ends: reported again if the rest of its pack is lost."""
        return self.path / "end.json"

    @property
    def best_network(self) -> Place:
        """Return the network of the best epoch so far by the objective."""
        return self.path / "best.safetensors"

    @property
    def logged_package(self) -> Place:
        """Return the record of the model that `promote` has logged in MLflow: its id, and the SHA-256 of its files."""
        return self.path / "logged-package.json"

    @property
    def best_arrays(self) -> Place:
        """Return the arrays for detailed figures, of the best epoch as of the last snapshot."""
        return self.path / "best.npz"

    @property
    def sweep(self) -> "SweepFolder":
        """Return the folder of the point's sweep."""
        return SweepFolder(self.path.parent.parent)

    def snapshot(self, epoch: int) -> Place:
        """Return the filters, originals and reconstructions after `epoch`."""
        return self.path / f"snapshot-{epoch:05d}.npz"

    def in_sweep(self, path: Place) -> str:
        """Return a path in this folder as the journal names it: relative to the sweep's folder."""
        return f"points/{self.point_id}/{path.name}"


@dataclass(frozen=True)
class SweepFolder:
    """The files of one sweep."""

    path: Place

    @property
    def local(self) -> Path:
        """Return the sweep's folder on a local disk: `path`, unless that is in a store or SWEEPS_LOCAL is set.

        Otherwise it is not under `sweeps`, which keeps a lone journal from being listed as a sweep when
        SWEEPS_HOME is not set.
        """
        is_apart = bool(os.environ.get("SWEEPS_LOCAL")) and self.path != home() / "sweeps" / self.id
        if isinstance(self.path, Path) and not is_apart:
            return self.path
        return home() / "journals" / self.id

    @property
    def id(self) -> str:
        """Return the sweep's id, the folder's name."""
        return self.path.name

    @property
    def config(self) -> Place:
        """Return the sweep file as it was run."""
        return self.path / "sweep.yaml"

    @property
    def journal(self) -> Path:
        """Return the SQLite journal."""
        return self.local / "journal.db"

    @property
    def segments(self) -> Place:
        """Return the folder of segments: immutable copies of the journal's entries, from which it can be rebuilt."""
        return self.path / "journal"

    @property
    def delivered(self) -> Place:
        """Return the file that records what was delivered to MLflow."""
        return self.segments / "delivered.json"

    @property
    def is_sweep(self) -> bool:
        """Return whether a sweep has been recorded here, or the folder is another user's and nobody here can know."""
        try:
            return self.journal.exists() or self.segments.exists()
        except PermissionError:
            return True

    @property
    def references(self) -> Place:
        """Return the baselines that figures show: the data's mean and PCA."""
        return self.path / "references.npz"

    @property
    def layers(self) -> Place:
        """Return the folder of pretrained layers that points share; it is removed when the sweep ends."""
        return self.path / "layers"

    @property
    def lock(self) -> Path:
        """Return the file that the owner of the sweep locks, and in which it writes who it is."""
        return (self.path if isinstance(self.path, Path) else self.local) / "held-by.json"

    @property
    def lease(self) -> RemotePath | None:
        """Return the file of the owner's lease in an object store; None for a sweep on a disk."""
        return self.path / "held-by.json" if isinstance(self.path, RemotePath) else None

    def write_config(self, text: str) -> None:
        """Write the sweep file atomically; InputError if the disk is full."""
        with _explain_full_disk(self.path):
            atomic_write.write_or_raise(self.config, text.encode())

    def point(self, point_id: str) -> PointFolder:
        """Return the folder of one point."""
        return PointFolder(self.path / "points" / folder_name(point_id))


def check_home() -> None:
    """Check that sweeps can be written; InputError if not."""
    journals = "sweeps" if home() == storage() else "journals"
    for name, path, part in (("SWEEPS_HOME", storage(), "sweeps"), ("SWEEPS_LOCAL", home(), journals)):
        probe = path / part / f".{secrets.token_hex(8)}"
        try:
            with _explain_full_disk(path):
                _try_to_write(probe)
        except StorageError as error:
            message = f"{name} must name a store that can be written: {error}"
            raise StorageError(message, passes=error.passes) from None
        except OSError as error:
            raise InputError(
                f"{name} must be a folder that can be written; {path} is not ({error.strerror}): set it to another"
            ) from None


def _try_to_write(probe: Place) -> None:
    """Write and remove a file; on a disk, one as large as the start of a sweep: an empty file fits on a full disk."""
    make_folder(probe.parent)
    try:
        probe.write_bytes(bytes(_START_BYTES if isinstance(probe, Path) else 0))
    except OSError:
        with suppress(OSError), patience(0.0):
            probe.unlink(missing_ok=True)
        raise
    probe.unlink()


@contextmanager
def _explain_full_disk(path: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in atomic_write.NO_SPACE:
            raise
        raise InputError(
            f"the disk of {path} has too little space for a sweep: free some there; `sweeps list` shows "
            "the sweeps, and `sweeps delete SWEEP` removes one"
        ) from None


def create(name: str, sweep_id: str | None = None) -> SweepFolder:
    """Create the folder of a new sweep; with a `sweep_id`, it may exist from an earlier attempt."""
    folder = at(sweep_id or new_id(name))
    make_folder(folder.path, exist_ok=sweep_id is not None)
    make_folder(folder.local)
    return folder


def at(sweep_id: str) -> SweepFolder:
    """Return the folder that the sweep with this id has or will have; InputError if it cannot name a folder."""
    return SweepFolder(storage() / "sweeps" / folder_name(sweep_id))


def find(sweep_id: str, *, newest: bool = True) -> SweepFolder:
    """Return the folder of the sweep with this id or unique prefix; UnknownSweep, with the closest id, if none fits.

    With `newest`, a sweep's name means the newest of that name, and `latest` the newest of all.
    """
    ids = [folder.id for folder in all_folders()]
    found = matches(sweep_id, ids, newest=newest)
    if len(found) == 1:
        return SweepFolder(storage() / "sweeps" / found[0])
    if found:
        known = ", ".join(sorted(found))
        raise UnknownSweep(f"{sweep_id!r} must name one sweep, and it may mean {len(found)}: {known}. Name one")
    if sweep_id == LATEST and not newest and ids:
        raise UnknownSweep(f"{LATEST!r} must be the id of a sweep here: the newest is {ids[-1]}")
    closest = get_close_matches(sweep_id, ids, n=1, cutoff=0.4)
    hint = f"Did you mean {closest[0]!r}?" if closest else "`sweeps list` (list_sweeps() in Python) shows all."
    raise UnknownSweep(f"no sweep {sweep_id!r} in {storage() / 'sweeps'}. {hint}")


def all_folders() -> list[SweepFolder]:
    """Return every sweep under `SWEEPS_HOME`, oldest first."""
    root = storage() / "sweeps"
    with explained_errors(root):
        folders = [SweepFolder(path) for path in root.iterdir()] if root.is_dir() else []
    return sorted((f for f in folders if f.is_sweep), key=lambda folder: folder.id.split("-")[-3:])
