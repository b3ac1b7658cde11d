"""A sweep file as nested plain values: read as strict YAML, and changed by `path=value`."""

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from sweeps.config.dotted_paths import assign
from sweeps.config.issues import shown
from sweeps.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
FLOAT = re.compile(r"[-+]?([0-9][0-9_]*)(\.[0-9_]*)?[eE][-+]?[0-9]+")


class SweepFileLoader(yaml.SafeLoader):
    """Reads plain YAML values only: no dates, tags or duplicate keys; 1e-3 is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Any, yaml.Node] = {}
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice: remove one", key_node.start_mark
                )
            seen[key] = key_node
        return super().construct_mapping(node, deep)


def _refuse_tag(_loader: SweepFileLoader, node: yaml.Node) -> Any:
    raise yaml.constructor.ConstructorError(
        None, None, f"the tag {node.tag!r} is not allowed: write a plain value", node.start_mark
    )


PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")
SweepFileLoader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag in [f"tag:yaml.org,2002:{name}" for name in PLAIN]
} | {None: _refuse_tag}
SweepFileLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
SweepFileLoader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789"))


def read_text(path: Path) -> str:
    """Return the text of a sweep file; ConfigError if it cannot be read."""
    try:
        with path.open("rb") as file:
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


def parse_document(text: str, source: str) -> dict[str, Any]:
    """Return the mapping in a sweep file; `source` names the file in errors."""
    document = parse_yaml(text, source)
    if document is None:
        raise ConfigError(f"{source} is empty: start from one of `sweeps recipes`")
    if not isinstance(document, dict):
        raise ConfigError(f"{source} must be a mapping such as `name: my-sweep`, not {shown(document)}")
    return document


def parse_yaml(text: str, source: str) -> Any:
    """Return one YAML value, made of plain values; `source` names it in errors."""
    try:
        value = yaml.load(text, Loader=SweepFileLoader)  # noqa: S506 - a SafeLoader that takes even less
        _refuse_odd_values(value)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigError(f"{source} must be plain YAML{where}: {_one_line(error.problem)}") from error
    except RecursionError as error:
        raise ConfigError(f"{source} must be plain YAML: it is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{source} must be plain YAML: {_one_line(error)}") from error
    return value


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


def _refuse_odd_values(value: Any) -> None:
    """Raise ValueError for values that JSON cannot represent, or only in unreasonable space.

    With aliases a few bytes of YAML can represent billions of values, or a list that contains itself.
    """
    remaining = [value]
    n_values = 1
    while remaining:
        part = remaining.pop()
        n_values += len(part) if isinstance(part, (dict, list)) else 0
        if n_values > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES:,} values")
        if isinstance(part, dict):
            remaining += [*part.keys(), *part.values()]
            odd = [key for key in part if not isinstance(key, str)]
            if odd:
                raise ValueError(f"the key {shown(odd[0])} must be text")
        elif isinstance(part, list):
            remaining += part
        elif isinstance(part, str) and any("\ud800" <= character <= "\udfff" for character in part):
            raise ValueError(f"{shown(part)} contains half a surrogate pair")


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())
