"""Write the sweeps below SWEEPS_HOME to standard output as a tar archive, while sweeps run.

A journal is copied by SQLite's online backup, so that it is complete up to one moment. A file that disappears
meanwhile, as old checkpoints do, is left out.
"""

import os
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

# The state of a journal's connections, which its copy does not have.
OF_CONNECTIONS = ("-wal", "-shm", "-journal")


def archive(home: Path, tar: tarfile.TarFile) -> None:
    """Add all folders, files and links below `home`, by their paths relative to it."""
    for folder, folders, files in os.walk(home):
        folders.sort()
        for path in (Path(folder, name) for name in sorted(folders + files)):
            name = str(path.relative_to(home))
            try:
                if path.suffix == ".db" and path.is_file():
                    add_database(path, name, tar)
                elif not any(name.endswith(".db" + suffix) for suffix in OF_CONNECTIONS):
                    tar.add(path, name, recursive=False)
            except FileNotFoundError:
                continue


def add_database(path: Path, name: str, tar: tarfile.TarFile) -> None:
    """Add a consistent copy of an SQLite database, with the original's owner and mode."""
    described = tar.gettarinfo(path, name)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        described.size = copy.stat().st_size
        with copy.open("rb") as content:
            tar.addfile(described, content)


if __name__ == "__main__":
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        archive(Path(os.environ["SWEEPS_HOME"]), tar)
