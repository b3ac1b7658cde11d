"""A sweep file as nested plain values, read as strict YAML."""

import os
from pathlib import Path
from typing import Any

from sweeps.config.issues import shown
from sweeps.config.plain_yaml import parse_yaml
from sweeps.errors import ConfigError

MAX_BYTES = 1_000_000


def read_text(path: Path) -> str:
    """Return the text of a sweep file; ConfigError if it cannot be read."""
    try:
        # A pipe without a writer is empty; it must not be waited for.
        with open(path, "rb", opener=_open_without_waiting) as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} must be a sweep file that can be read: {reason}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} is longer than the {MAX_BYTES:,} bytes that a sweep file may have: shorten it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path} is not UTF-8 text (byte {content[error.start]:#04x} in line {line}): save it as UTF-8"
        ) from error


def _open_without_waiting(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def parse_document(text: str, source: str) -> dict[str, Any]:
    """Return the mapping in a sweep file; `source` names the file in errors."""
    document = parse_yaml(text, source)
    if document is None:
        raise ConfigError(f"{source} is empty: start from one of `sweeps recipes`")
    if not isinstance(document, dict):
        raise ConfigError(f"{source} must be a mapping such as `name: my-sweep`, not {shown(document)}")
    return document
