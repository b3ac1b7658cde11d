"""Where a sweep's files lie: one folder a sweep, under `SWEEPS_HOME`, a path or the URL of an object store."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from sweeps.errors import InputError, StorageError, UnknownSweep
from sweeps.storage import atomic_write
from sweeps.storage.object_store import Place, RemotePath, patience, place

# More than a sweep takes before it trains: its sweep file, and a journal of one entry.
_START_BYTES = 2**20


def storage() -> Place:
    """Where sweeps lie, and their checkpoints and arrays: `SWEEPS_HOME`, by default `~/.sweeps`."""
    found = place(os.environ.get("SWEEPS_HOME") or "~/.sweeps")
    return found.expanduser().absolute() if isinstance(found, Path) else found


def home() -> Path:
    """The folder of cached data and of journals that are written to: on a disk of this host.

    `SWEEPS_LOCAL`; by default `SWEEPS_HOME` where that is a path, else `~/.sweeps`.
    """
    own, stored = os.environ.get("SWEEPS_LOCAL"), storage()
    if own or isinstance(stored, RemotePath):
        return Path(own or "~/.sweeps").expanduser().absolute()
    return stored


@dataclass(frozen=True)
class PointFolder:
    """What one point leaves behind."""

    path: Place

    @property
    def point_id(self) -> str:
        """The point's id is the folder's name."""
        return self.path.name

    @property
    def checkpoint(self) -> Place:
        """Lightning's last checkpoint, for as long as training may go on from it."""
        return self.path / "last.ckpt"

    @property
    def end(self) -> Place:
        """What the point told last, once it has ended by itself: told again if the pack that it was part of is lost."""
        return self.path / "end.json"

    @property
    def best_network(self) -> Place:
        """The network at its best epoch so far by the objective."""
        return self.path / "best.pt"

    @property
    def best_arrays(self) -> Place:
        """What detailed figures are drawn from, of the best epoch as of the last snapshot."""
        return self.path / "best.npz"

    @property
    def sweep(self) -> "SweepFolder":
        """The folder of the sweep that the point is of."""
        return SweepFolder(self.path.parent.parent)

    def snapshot(self, epoch: int) -> Place:
        """Filters, originals and reconstructions after `epoch`."""
        return self.path / f"snapshot-{epoch:05d}.npz"

    def in_sweep(self, path: Place) -> str:
        """A path in this folder as it is named in the journal: relative to the sweep's folder."""
        return f"points/{self.point_id}/{path.name}"


@dataclass(frozen=True)
class SweepFolder:
    """One sweep's folder."""

    path: Place

    @property
    def local(self) -> Path:
        """What of a sweep lies on the disk of the host that runs it: its folder, where that is on such a disk.

        Else not where sweeps lie: without its folder nobody shall take it for a sweep, where SWEEPS_HOME is not set.
        """
        is_apart = bool(os.environ.get("SWEEPS_LOCAL")) and self.path != home() / "sweeps" / self.id
        if isinstance(self.path, Path) and not is_apart:
            return self.path
        return home() / "journals" / self.id

    @property
    def id(self) -> str:
        """The sweep's id is the folder's name."""
        return self.path.name

    @property
    def config(self) -> Place:
        """The sweep file as it was run."""
        return self.path / "sweep.yaml"

    @property
    def journal(self) -> Path:
        """The SQLite journal."""
        return self.local / "journal.db"

    @property
    def segments(self) -> Place:
        """Copies of the journal's entries, in files that never change: what the journal can be rebuilt from."""
        return self.path / "journal"

    @property
    def delivered(self) -> Place:
        """What MLflow had of the entries when this was last written."""
        return self.segments / "delivered.json"

    @property
    def is_sweep(self) -> bool:
        """Whether a sweep has been recorded here."""
        return self.journal.exists() or self.segments.exists()

    @property
    def references(self) -> Place:
        """What figures hold the trials against: the data's mean and PCA."""
        return self.path / "references.npz"

    @property
    def layers(self) -> Place:
        """Pre-trained layers that points have in common, for as long as the sweep runs."""
        return self.path / "layers"

    @property
    def lock(self) -> Path:
        """What the process that runs the sweep holds locked, and in which it says who it is."""
        return (self.path if isinstance(self.path, Path) else self.local) / "held-by.json"

    @property
    def lease(self) -> RemotePath | None:
        """What that process writes again and again, where other hosts see no lock; None where they do."""
        return self.path / "held-by.json" if isinstance(self.path, RemotePath) else None

    def write_config(self, text: str) -> None:
        """Write the sweep file, whole or not at all; InputError where the disk is full."""
        with _told_if_full(self.path):
            atomic_write.write_or_raise(self.config, text.encode())

    def point(self, point_id: str) -> PointFolder:
        """The folder of one point."""
        return PointFolder(self.path / "points" / point_id)


def check_home() -> None:
    """Make sure that sweeps can be written where they are to lie; InputError where they cannot."""
    journals = "sweeps" if home() == storage() else "journals"
    for name, path, part in (("SWEEPS_HOME", storage(), "sweeps"), ("SWEEPS_LOCAL", home(), journals)):
        probe = path / part / f".{secrets.token_hex(8)}"
        try:
            with _told_if_full(path):
                _try_to_write(probe)
        except StorageError as error:
            told = f"{name} must name a store that can be written: {error}"
            raise StorageError(told, passes=error.passes) from None
        except OSError as error:
            raise InputError(
                f"{name} must be a folder that can be written; {path} is not ({error.strerror}): name one of yours"
            ) from error


def _try_to_write(probe: Place) -> None:
    """Write what a disk must have space for, which an empty file takes none of, and remove it."""
    probe.parent.mkdir(parents=True, exist_ok=True)
    try:
        probe.write_bytes(bytes(_START_BYTES if isinstance(probe, Path) else 0))
    except OSError:
        with suppress(OSError), patience(0.0):
            probe.unlink(missing_ok=True)
        raise
    probe.unlink()


@contextmanager
def _told_if_full(path: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in atomic_write.NO_SPACE:
            raise
        raise InputError(
            f"the disk of {path} must have space for a sweep, and has too little: free some there; `sweeps list` names "
            "the sweeps, and `sweeps delete SWEEP` removes one"
        ) from None


def new_id(name: str) -> str:
    """An id for a new sweep: its name, the time (UTC) and four random hex digits."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "sweep"
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{slug}-{stamp}-{secrets.token_hex(2)}"


def create(name: str, sweep_id: str | None = None) -> SweepFolder:
    """Make the folder of a new sweep, under a new id or under one that has been given to it, perhaps in vain before."""
    folder = SweepFolder(storage() / "sweeps" / (sweep_id or new_id(name)))
    folder.path.mkdir(parents=True, exist_ok=sweep_id is not None)
    folder.local.mkdir(parents=True, exist_ok=True)
    return folder


def find(sweep_id: str) -> SweepFolder:
    """The folder of the sweep with this id, or with the only id that starts so.

    Raises UnknownSweep with the closest ids.
    """
    ids = [folder.id for folder in all_folders()]
    matches = [sweep_id] if sweep_id in ids else [known for known in ids if known.startswith(sweep_id)]
    if len(matches) == 1:
        return SweepFolder(storage() / "sweeps" / matches[0])
    if matches:
        raise UnknownSweep(f"{sweep_id!r} must name one sweep; it starts {len(matches)}: {', '.join(sorted(matches))}")
    closest = get_close_matches(sweep_id, ids, n=1, cutoff=0.4)
    hint = f"Did you mean {closest[0]!r}?" if closest else "`sweeps list` shows those there are."
    raise UnknownSweep(f"no sweep {sweep_id!r} in {storage() / 'sweeps'}. {hint}")


def all_folders() -> list[SweepFolder]:
    """Every sweep under `SWEEPS_HOME`, oldest first."""
    root = storage() / "sweeps"
    folders = [SweepFolder(path) for path in root.iterdir()] if root.is_dir() else []
    return sorted((f for f in folders if f.is_sweep), key=lambda folder: folder.id.split("-")[-3:])
