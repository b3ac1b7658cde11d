"""Issues of a config, in terms of the file that a person wrote: one line for each."""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sweeps.plugin_import import BUILT_IN, PLUG_IN

# What must hold, by the type of pydantic's error; {name} is a value of the error's context.
EXPECTATIONS = {
    "missing": "must be given",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "path_type": "must be a path",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of settings",
    "model_type": "must be a mapping of settings",
    "model_attributes_type": "must be a mapping of settings",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt:,}",
    "greater_than_equal": "must be at least {ge:,}",
    "less_than": "must be below {lt:,}",
    "less_than_equal": "must be at most {le:,}",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "must be {expected}",
    "union_tag_not_found": "must be given",
    "too_short": "must have at least {min_length} values",
    "too_long": "must have at most {max_length:,} values",
}

# Of one file: nobody reads more, and a file that is something else altogether may have a hundred thousand.
MAX_ISSUES = 100


@dataclass(frozen=True)
class Issue:
    """One thing wrong: the dotted path of a setting, and what must hold, what came and what to do.

    `concerns` lists other settings that the text is about.
    """

    path: str
    text: str
    concerns: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.path:
            return self.text
        separator = " " if self.text.startswith(("must ", "is ", "has ", "lies ")) else ": "
        return f"{self.path}{separator}{self.text}"


def issues_of(error: ValidationError, document: object, explain_unknown: Callable[[str], str]) -> list[Issue]:
    """Return the issues that pydantic found in `document`.

    `explain_unknown` returns the message for an unknown setting.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for detail in error.errors(include_url=False)[:MAX_ISSUES]:
        if detail["type"] == "default_factory_not_called":
            continue
        path = _path_within(document, detail["loc"], detail["type"])
        explained = _explain(detail) if detail["type"] != "extra_forbidden" else (explain_unknown(path), "")
        found.setdefault(path, []).append(explained)
    # An inner issue supersedes those of the failed union alternatives.
    inmost = [path for path in found if not any(other.startswith(f"{path}.") for other in found)]
    return [Issue(path, _joined(found[path])) for path in inmost]


def shown(value: object) -> str:
    """Return a value as a sweep file writes it, in at most 60 characters."""
    try:
        text = json.dumps(value, default=repr)
    except (ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def closest(word: str, names: Iterable[str], similarity: float = 0.6) -> str | None:
    """Return the name most similar to a word; None if none is similar enough."""
    found = difflib.get_close_matches(word, list(names), n=1, cutoff=similarity)
    return found[0] if found else None


def did_you_mean(name: str | None) -> str:
    """Return ' Did you mean X?', or an empty string without a name."""
    return f" Did you mean {name}?" if name is not None else ""


def _path_within(document: object, location: Sequence[int | str], kind: str) -> str:
    """The dotted path of a pydantic location, without the names of the alternatives that pydantic tried."""
    parts: list[str] = []
    value: Any = document
    location = [part for part in location if part not in (BUILT_IN, PLUG_IN)]
    for depth, part in enumerate(location):
        is_last = depth == len(location) - 1
        if depth == 1 and len(location) > 2 and isinstance(value, Mapping) and part == value.get("name"):
            continue  # the kind of a section, which may also be the name of one of its settings
        is_index = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if is_index or (isinstance(value, Mapping) and part in value):
            value = value[part]
        elif not (is_last and kind == "missing"):
            continue
        parts.append(str(part))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        parts.append("name")
    return ".".join(parts)


def _explain(detail: Mapping[str, Any]) -> tuple[str, str]:
    """Return what must hold; and what came, with what to do."""
    kind, context, value = detail["type"], dict(detail.get("ctx", {})), detail["input"]
    if kind == "union_tag_invalid":
        value = value["name"]
        others, _, last = context["expected_tags"].rpartition(", ")
        context["expected"] = f"{others} or {last}" if others else last
    if kind in ("value_error", "assertion_error"):
        return str(context["error"]), ""
    expectation = EXPECTATIONS.get(kind, f"is not valid ({detail['msg'][:1].lower()}{detail['msg'][1:]})")
    expectation = expectation.format(**context)
    if kind in ("missing", "union_tag_not_found"):
        return expectation, ""
    allowed = str(context.get("expected", "")).split("'")[1::2]
    hint = did_you_mean(closest(value, allowed)) if isinstance(value, str) else ""
    return expectation, f", not {shown(value)}.{hint}" if hint else f", not {shown(value)}"


def _joined(explained: Sequence[tuple[str, str]]) -> str:
    """Return 'must be a number or a list, not "x"' from what each alternative expects and what came."""
    first, *others = dict.fromkeys(expectation for expectation, _ in explained)
    came = max((came for _, came in explained), key=len)
    return " or ".join([first, *(other.removeprefix("must be ") for other in others)]) + came
