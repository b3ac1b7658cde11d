"""Change settings of a sweep file by their dotted paths: `path=value` as typed, or a mapping of paths to values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sweeps.config.dotted_paths import assign, why_too_long
from sweeps.config.issues import shown
from sweeps.config.plain_yaml import parse_yaml
from sweeps.config.python_values import plain_document
from sweeps.errors import ConfigError


def override(document: dict[str, Any], overrides: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Apply each `path=value`, in place, and return the issues. Values are YAML; null removes a searched range.

    In a mapping of paths to values, the values are Python's, and None removes a searched range.
    """
    issues = []
    applied: list[_Override] = []
    for change in _overrides(overrides):
        if not all(change.path.split(".")):
            issues.append(f"{change.text} {change.how_to_write}")
        elif too_long := why_too_long(change.path):
            issues.append(f"--set {change.path[:60]}... {too_long}")
        else:
            try:
                _set(document, change.path, change.value())
                applied.append(change)
            except ConfigError as error:
                issues.extend(error.issues)
            except ValueError as error:
                issues.append(f"{change.text}: {error}")
    # A later override may add or remove ranges, so only the final search can hide a value.
    return issues + [issue for change in applied for issue in _hidden_by_search(document.get("search"), change)]


def overridden(document: Mapping[str, Any], overrides: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a document written in Python with settings changed; ConfigError lists the issues."""
    changed = plain_document(document)
    if issues := override(changed, overrides):
        raise ConfigError(issues)
    return changed


@dataclass(frozen=True)
class _Override:
    """A setting to change: its dotted path, "" if none was written, its value, and how an error names it."""

    path: str
    value: Callable[[], Any]
    text: str
    is_typed: bool = True

    @property
    def how_to_write(self) -> str:
        """What must hold if the path is missing or has an empty part."""
        if self.is_typed:
            return "must be path=value, such as --set budget.trials=4"
        return "must have a dotted path as its key, such as 'budget.trials'"


def _overrides(overrides: Sequence[str] | Mapping[str, Any]) -> Iterator[_Override]:
    if isinstance(overrides, Mapping):
        for path, value in overrides.items():
            text = f"overrides[{shown(path)}]"
            plain = partial(_plain_value, value, text)
            yield _Override(path.strip() if isinstance(path, str) else "", plain, text, is_typed=False)
        return
    for typed in overrides:
        path, equals, written = typed.partition("=")
        yield _Override(
            path.strip() if equals else "", partial(parse_yaml, written, f"--set {typed}"), f"--set {typed}"
        )


def _plain_value(value: Any, text: str) -> Any:
    return plain_document({"": value}, f"{text} ")[""]


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    section, _, searched = path.partition(".")
    search = document.get("search")
    if section == "search" and searched:
        # The rest is one key: the dotted path that is searched.
        ranges = dict(search) if isinstance(search, dict) else {}
        document["search"] = {key: values for key, values in (ranges | {searched: value}).items() if values is not None}
        return
    assign(document, path, value)


def _hidden_by_search(search: Any, change: _Override) -> list[str]:
    """Return the issue of a value that every trial replaces; none if `search` leaves it as it is."""
    hiding = (
        [key for key in search if key == change.path or change.path.startswith(f"{key}.")]
        if isinstance(search, dict)
        else []
    )
    return [
        f"{change.text}: has no effect because the sweep searches {key}; to fix it, "
        + (f"add --set search.{key}=null" if change.is_typed else f'override "search.{key}" with None')
        for key in hiding[:1]
    ]
