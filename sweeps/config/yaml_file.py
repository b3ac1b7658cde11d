"""A sweep file as nested plain values: read as strict YAML, and changed by `path=value`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweeps.config.dotted_paths import assign, why_too_long
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


def override(document: dict[str, Any], overrides: Sequence[str]) -> list[str]:
    """Apply each `path=value`, in place, and return the issues. Values are YAML; null removes a searched range."""
    issues = []
    applied: list[tuple[str, str]] = []
    for text in overrides:
        path, equals, written = text.partition("=")
        path = path.strip()
        if not equals or not all(path.split(".")):
            issues.append(f"--set {text} must be path=value, such as --set budget.trials=4")
            continue
        if too_long := why_too_long(path):
            issues.append(f"--set {path[:60]}... {too_long}")
            continue
        try:
            _set(document, path, parse_yaml(written, f"--set {text}"))
            applied.append((path, text))
        except ConfigError as error:
            issues.extend(error.issues)
        except ValueError as error:
            issues.append(f"--set {text}: {error}")
    # A later --set may add or remove ranges, so only the final search can hide a value.
    return issues + [issue for path, text in applied for issue in _hidden_by_search(document.get("search"), path, text)]


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    section, _, searched = path.partition(".")
    search = document.get("search")
    if section == "search" and searched:
        # The rest is one key: the dotted path that is searched.
        ranges = dict(search) if isinstance(search, dict) else {}
        document["search"] = {key: values for key, values in (ranges | {searched: value}).items() if values is not None}
        return
    assign(document, path, value)


def _hidden_by_search(search: Any, path: str, text: str) -> list[str]:
    """Return the issue of a value at `path` that every trial replaces; none if `search` leaves it as it is."""
    hiding = [key for key in search if key == path or path.startswith(f"{key}.")] if isinstance(search, dict) else []
    return [
        f"--set {text}: has no effect because the sweep searches {key}; to fix it, add --set search.{key}=null"
        for key in hiding[:1]
    ]
