"""What a JSON Schema says of a value, in words: its type, its range, and values that it allows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.config.issues import shown

Schema = Mapping[str, Any]

_TYPES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "object": "section",
}
_BOUNDS = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
_NUMBERS = (0.1, 10, 0.5, 1, 2)


def type_in_words(schema: Schema) -> str:
    """Return the type of a value, such as 'number or list of numbers'; a value that may be null is named without it."""
    if alternatives := _alternatives(schema):
        return " or ".join(dict.fromkeys(type_in_words(part).removeprefix("always ") for part in alternatives))
    if "const" in schema:
        value = schema["const"]
        return f"always {value if isinstance(value, str) else shown(value)}"
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if schema.get("type") == "array":
        return _list_in_words(schema)
    if "additionalProperties" in schema and isinstance(schema["additionalProperties"], Mapping):
        return f"mapping of names to {type_in_words(schema['additionalProperties'])}"
    if "properties" in schema:
        parts = ", ".join(f"{name}: {type_in_words(part)}" for name, part in schema["properties"].items())
        return f"{{{parts}}}"
    return "path of a file" if schema.get("format") == "path" else _TYPES.get(schema.get("type", "object"), "value")


def range_in_words(schema: Schema) -> str | None:
    """Return the bounds of a value, such as 'at least 0 and below 1'; None if it has none."""
    found = dict.fromkeys(_ranges(schema))
    return "; ".join(found) or None


def examples(schema: Schema, name: str, default: Any) -> Iterator[Any]:
    """Yield values of the setting `name`, those that differ from its default first; checks across settings may fail."""
    yield from schema.get("examples", ())
    known = list(_values(schema, name, default))
    yield from (value for value in known if value != default)
    yield from known


def resolve(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return a schema in which each reference to a section is an object without its settings."""
    if "$ref" in schema:
        referred = definitions[schema["$ref"].rpartition("/")[2]]
        return {"type": "object"} if referred.get("type") == "object" else resolve(referred, definitions)
    resolved = dict(schema)
    for key in ("anyOf", "oneOf", "prefixItems"):
        if key in schema:
            resolved[key] = [resolve(part, definitions) for part in schema[key]]
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            resolved[key] = resolve(schema[key], definitions)
    return resolved


def _alternatives(schema: Schema) -> list[Schema]:
    """The types that a value may have, apart from null; empty if there is only one."""
    parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return [part for part in parts if part.get("type") != "null"]


def _list_in_words(schema: Schema) -> str:
    items = [*schema.get("prefixItems", ()), *([schema["items"]] if isinstance(schema.get("items"), Mapping) else [])]
    if not items:
        return "list"
    item = type_in_words(items[0])
    if item.startswith("one of"):
        return f"list, each {item}"
    singular, of, rest = item.partition(" of ")
    count = schema.get("minItems") if schema.get("minItems") == schema.get("maxItems") else None
    return f"list of {f'{count} ' if count else ''}{singular}s{of}{rest}"


def _ranges(schema: Schema) -> Iterator[str]:
    bounds = [f"{word} {_number(schema[key])}" for key, word in _BOUNDS.items() if key in schema]
    if "minimum" in schema and schema["minimum"] == schema.get("maximum"):
        yield f"only {_number(schema['minimum'])}"
    elif bounds:
        yield " and ".join(bounds)
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and least != most and "type" in schema:
        yield f"at least {least} value{'s' if least > 1 else ''}"
    for part in (*_alternatives(schema), *schema.get("prefixItems", ()), schema.get("items")):
        if isinstance(part, Mapping):
            yield from _ranges(part)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _values(schema: Schema, name: str, default: Any) -> Iterator[Any]:
    for part in _alternatives(schema):
        yield from _values(part, name, default)
    if "const" in schema:
        yield schema["const"]
    yield from schema.get("enum", ())
    match schema.get("type"):
        case "boolean":
            yield from (True, False)
        case "integer" | "number":
            yield from _numbers(schema, default)
        case "string" if "enum" not in schema and "const" not in schema:
            stem = name.partition("_")[0]
            is_path = schema.get("format") == "path"
            yield f"{stem.replace('path', 'samples')}.npy" if is_path else f"my-{stem}"
        case "array":
            yield from _lists(schema, name, default)
        case "object" if _mapping_of_ranges(schema):
            yield {"model.hidden_size": {"choice": [16, 32]}}


def _mapping_of_ranges(schema: Schema) -> bool:
    return isinstance(schema.get("additionalProperties"), Mapping)


def _numbers(schema: Schema, default: Any) -> Iterator[float]:
    is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
    near = (default * 2, default / 2) if is_number and default else ()
    for value in (*near, *_NUMBERS, 0):
        if schema["type"] == "number" or float(value).is_integer():
            number = int(value) if schema["type"] == "integer" else float(value)
            if _is_within(number, schema):
                yield number


def _is_within(number: float, schema: Schema) -> bool:
    return (
        schema.get("minimum", number) <= number <= schema.get("maximum", number)
        and not number <= schema.get("exclusiveMinimum", number - 1)
        and not number >= schema.get("exclusiveMaximum", number + 1)
    )


def _lists(schema: Schema, name: str, default: Any) -> Iterator[list[Any]]:
    """Lists of the default's length, or as short as the schema allows; of names, one that is not in the default."""
    prefix = schema.get("prefixItems")
    items: Sequence[Schema] = prefix or [schema.get("items") or {}] * max(1, schema.get("minItems", 1))
    known = default if isinstance(default, (list, tuple)) and default else None
    if "enum" in items[0]:
        yield [next((value for value in items[0]["enum"] if value not in (known or ())), items[0]["enum"][0])]
        return
    if known is not None and not prefix:
        items = [items[0]] * len(known)
    firsts = [next(examples(item, name, known[i] if known else None), None) for i, item in enumerate(items)]
    if None not in firsts:
        yield firsts
