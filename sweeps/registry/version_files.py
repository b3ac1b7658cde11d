"""A registered version as a model: its files are downloaded, compared with their recorded SHA-256, and loaded."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion

from sweeps.errors import InputError
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.registry.package_digest import package_digest
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.promotion_log import recorded_package_digest


@dataclass(frozen=True)
class Trust:
    """What the user trusts: files with this `sha256` only, and the code of `plugins`, by name or import path."""

    sha256: str | None = None
    plugins: tuple[str, ...] = ()


NO_TRUST = Trust()


def load_version(
    store: RegistryStore,
    version: ModelVersion,
    folder: Path,
    log: Callable[[str], None],
    trust: Trust = NO_TRUST,
) -> PackagedModel:
    """Load a version's files by way of `folder`, which must not exist.

    No file is opened unless the SHA-256 of all together is the one recorded at the promotion, and the trusted one if
    there is one. `log` is called with a line if neither is known; the code of a plug-in network is imported then only
    if it is trusted. Raises InputError if they differ, TrackingError if MLflow fails.
    """
    name, number = version.name, str(version.version)
    recorded = recorded_package_digest(store.uri, name, number)
    files = store.download_version(version, folder)
    digest = package_digest(files)
    if recorded is not None and digest != recorded:
        raise InputError(
            f"version {number} of {name} must be the files that were promoted (SHA-256 {recorded}), and they were "
            f"changed since ({digest}): find out who changed them, then promote a trial again"
        )
    required = trust.sha256
    if required is not None and digest != required:
        raise InputError(
            f"version {number} of {name} must have the SHA-256 {required}, as --sha256 requires, and has {digest}: do "
            "not use it, or correct --sha256"
        )
    is_known = recorded is not None or required is not None
    if not is_known:
        log(
            f"the SHA-256 of version {number} of {name}, {digest}, could not be checked: it was not promoted from this "
            "SWEEPS_HOME"
        )
    return PackagedModel.load(files, digest, is_known=is_known, plugins=trust.plugins)


def check_sha256(text: str) -> str:
    """Return a SHA-256 in lower case; raise InputError if the text is none."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise InputError(
            f"--sha256 must be 64 hexadecimal digits, not {text[:80]!r}: `sweeps promote --json` prints it"
        )
    return text.lower()
