"""Where a sweep's files lie: one folder a sweep, under `SWEEPS_HOME`."""

import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from sweeps.durable import whole
from sweeps.errors import InputError, UnknownSweep


def home() -> Path:
    """The folder of sweeps and cached data: `SWEEPS_HOME`, by default `~/.sweeps`."""
    return Path(os.environ.get("SWEEPS_HOME") or Path.home() / ".sweeps").expanduser().absolute()


@dataclass(frozen=True)
class PointFolder:
    """What one point leaves behind."""

    path: Path

    @property
    def point_id(self) -> str:
        """The point's id is the folder's name."""
        return self.path.name

    @property
    def checkpoint(self) -> Path:
        """Lightning's last checkpoint, for as long as training may go on from it."""
        return self.path / "last.ckpt"

    @property
    def end(self) -> Path:
        """What the point told last, once it has ended by itself: told again if the pack that it was part of is lost."""
        return self.path / "end.json"

    @property
    def best_network(self) -> Path:
        """The network at its best epoch so far by the objective."""
        return self.path / "best.pt"

    @property
    def best_arrays(self) -> Path:
        """What detailed figures are drawn from, of the best epoch as of the last snapshot."""
        return self.path / "best.npz"

    @property
    def sweep(self) -> "SweepFolder":
        """The folder of the sweep that the point is of."""
        return SweepFolder(self.path.parent.parent)

    def snapshot(self, epoch: int) -> Path:
        """Filters, originals and reconstructions after `epoch`."""
        return self.path / f"snapshot-{epoch:05d}.npz"

    def in_sweep(self, path: Path) -> str:
        """A path in this folder as it is named in the journal: relative to the sweep's folder."""
        return str(path.relative_to(self.sweep.path))


@dataclass(frozen=True)
class SweepFolder:
    """One sweep's folder."""

    path: Path

    @property
    def id(self) -> str:
        """The sweep's id is the folder's name."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The sweep file as it was run."""
        return self.path / "sweep.yaml"

    @property
    def journal(self) -> Path:
        """The SQLite journal."""
        return self.path / "journal.db"

    @property
    def segments(self) -> Path:
        """Copies of the journal's entries, in files that never change: what the journal can be rebuilt from."""
        return self.path / "journal"

    @property
    def delivered(self) -> Path:
        """What MLflow had of the entries when this was last written."""
        return self.segments / "delivered.json"

    @property
    def is_sweep(self) -> bool:
        """Whether a sweep has been recorded here."""
        return self.journal.exists() or self.segments.exists()

    @property
    def references(self) -> Path:
        """What figures hold the trials against: the data's mean and PCA."""
        return self.path / "references.npz"

    @property
    def layers(self) -> Path:
        """Pre-trained layers that points have in common, for as long as the sweep runs."""
        return self.path / "layers"

    @property
    def lock(self) -> Path:
        """What the process that runs the sweep holds locked, and in which it says who it is."""
        return self.path / "held-by.json"

    def write_config(self, text: str) -> None:
        """Write the sweep file, whole or not at all."""
        with whole(self.config) as partial:
            partial.write_text(text)

    def point(self, point_id: str) -> PointFolder:
        """The folder of one point."""
        return PointFolder(self.path / "points" / point_id)


def check_home() -> None:
    """Make sure that sweeps can be written where SWEEPS_HOME says; InputError where they cannot."""
    path = home() / "sweeps"
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(
            f"SWEEPS_HOME must be a folder that can be written; {home()} is not ({error.strerror}): name one of yours"
        ) from error


def new_id(name: str) -> str:
    """An id for a new sweep: its name, the time (UTC) and four random hex digits."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "sweep"
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{slug}-{stamp}-{secrets.token_hex(2)}"


def create(name: str, sweep_id: str | None = None) -> SweepFolder:
    """Make the folder of a new sweep, under a new id or under one that has been given to it, perhaps in vain before."""
    path = home() / "sweeps" / (sweep_id or new_id(name))
    path.mkdir(parents=True, exist_ok=sweep_id is not None)
    return SweepFolder(path)


def find(sweep_id: str) -> SweepFolder:
    """The folder of the sweep with this id, or with the only id that starts so.

    Raises UnknownSweep with the closest ids.
    """
    ids = [folder.id for folder in all_folders()]
    matches = [sweep_id] if sweep_id in ids else [known for known in ids if known.startswith(sweep_id)]
    if len(matches) == 1:
        return SweepFolder(home() / "sweeps" / matches[0])
    if matches:
        raise UnknownSweep(f"{sweep_id!r} must name one sweep; it starts {len(matches)}: {', '.join(sorted(matches))}")
    closest = get_close_matches(sweep_id, ids, n=1, cutoff=0.4)
    hint = f"Did you mean {closest[0]!r}?" if closest else "`sweeps list` shows those there are."
    raise UnknownSweep(f"no sweep {sweep_id!r} in {home() / 'sweeps'}. {hint}")


def all_folders() -> list[SweepFolder]:
    """Every sweep under `SWEEPS_HOME`, oldest first."""
    root = home() / "sweeps"
    folders = [SweepFolder(path) for path in root.iterdir()] if root.is_dir() else []
    return sorted((f for f in folders if f.is_sweep), key=lambda folder: folder.id.split("-")[-3:])
