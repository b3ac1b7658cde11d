"""The SHA-256 digest of a packaged model's files: recorded when it is promoted, compared before it is opened."""

import hashlib
from pathlib import Path

from sweeps.errors import InputError

# MLflow adds this file to a model that it downloads from the registry.
_ADDED_BY_MLFLOW = "registered_model_meta"


def package_digest(folder: Path) -> str:
    """Return the digest of the relative path and the content of every file below `folder`.

    Raises InputError for a symbolic link, or anything else that is neither a file nor a folder.
    """
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InputError(f"a packaged model must consist of plain files and folders, and {path} is neither")
        if path.is_dir() or name == _ADDED_BY_MLFLOW:
            continue
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256")
        # repr escapes line breaks, so no two trees give the same lines.
        digest.update(f"{content.hexdigest()} {name!r}\n".encode())
    return digest.hexdigest()
