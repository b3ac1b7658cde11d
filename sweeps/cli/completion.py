"""What the shell completes: sweeps, trials, recipes and settings, each read on the Tab key."""

from collections.abc import Iterator
from pathlib import Path


def sweeps(incomplete: str) -> list[str]:
    """Return `latest`, and the names and ids of the sweeps on this disk; none of an object store, which is slow."""
    from sweeps.storage.layout import all_folders, storage
    from sweeps.storage.sweep_ids import LATEST, name_of

    if not isinstance(storage(), Path):
        return [name for name in (LATEST,) if name.startswith(incomplete)]
    ids = [folder.id for folder in reversed(all_folders())]
    names = dict.fromkeys(name for sweep_id in ids if (name := name_of(sweep_id)) is not None)
    found = [LATEST, *names, *ids] if ids else []
    return [name for name in found if name.startswith(incomplete)]


def sweep_ids(incomplete: str) -> list[str]:
    """Return the ids of the sweeps on this disk, for a command that takes no name."""
    from sweeps.storage.sweep_ids import name_of

    return [known for known in sweeps(incomplete) if name_of(known) is not None]


def runs(incomplete: str) -> list[str]:
    """Return the sweeps, and after a sweep and a slash its trials."""
    sweep, slash, _ = incomplete.partition("/")
    return [f"{sweep}/{trial}" for trial in _trials(sweep)] if slash else sweeps(incomplete)


def recipes(incomplete: str) -> list[str]:
    """Return the recipes."""
    from sweeps.config import recipe_names

    return [name for name in recipe_names() if name.startswith(incomplete)]


def sweep_files(incomplete: str) -> list[str]:
    """Return the recipes, and the sweep files of the folder that is typed."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    try:
        files = [str(path) for path in folder.iterdir() if path.suffix in (".yaml", ".yml")]
    except OSError:  # what is typed so far is no folder
        files = []
    return [*recipes(incomplete), *(name for name in sorted(files) if name.startswith(incomplete))]


def settings(incomplete: str) -> list[str]:
    """Return the dotted paths of all settings and sections of a sweep file."""
    from sweeps.config import SweepConfig
    from sweeps.config.dotted_paths import settings as paths

    return [path for path in dict.fromkeys(paths(SweepConfig)) if path.startswith(incomplete)]


def assignments(incomplete: str) -> list[str]:
    """Return the dotted paths of all settings, each with the '=' that its value follows."""
    return [f"{path}=" for path in settings(incomplete)]


def _trials(sweep: str) -> Iterator[str]:
    from sweeps.errors import UnknownSweep
    from sweeps.storage.layout import find, storage

    if not isinstance(storage(), Path):
        return
    try:
        points = find(sweep).path / "points"
    except UnknownSweep:
        return
    if points.is_dir():
        yield from sorted(path.name for path in points.iterdir())
