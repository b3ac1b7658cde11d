"""Damage to stored files, drawn by hypothesis: to their bytes, and to the plain values in them."""

import copy
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

NUMBERS = [0, 1, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1]
edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "copy", "number"]), st.integers(0, 2**20), st.binary(max_size=9)
    ),
    min_size=1,
    max_size=6,
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**400, -1])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "..", "/etc/passwd", "\0", "\x1b[2J", "a\nb", "9" * 5000, "x" * 100_000, "\ud800"])
)
plain_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


class Change(NamedTuple):
    """What happens to one of the values inside others: it is replaced, dropped or repeated, or gets a sibling."""

    place: int
    how: str
    key: str
    value: Any


def changes(values: st.SearchStrategy[Any] = plain_values) -> st.SearchStrategy[list[Change]]:
    """Return a strategy of up to four changes that insert `values`."""
    how = st.sampled_from(["replace", "replace", "drop", "repeat", "add"])
    return st.lists(st.builds(Change, st.integers(0, 2**16), how, st.text(max_size=8), values), min_size=1, max_size=4)


def edited(content: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for how, place, piece in changes:
        start = place % (len(content) + 1)
        rest = content[start:]
        if how == "flip":
            content = content[:start] + bytes(255 - byte for byte in rest[:1]) + rest[1:]
        elif how == "cut":
            content = content[:start] + rest[len(piece) * 7 :]
        elif how == "insert":
            content = content[:start] + piece + rest
        elif how == "copy":
            content = content[:start] + content[max(0, start - 40) : start] + rest
        else:
            number = struct.pack("<I", NUMBERS[place % len(NUMBERS)])
            content = content[:start] + number + rest[4:]
    return content


def changed(value: Any, steps: Sequence[Change]) -> Any:
    """Return a copy of JSON values with changes."""
    root = [copy.deepcopy(value)]
    for step in steps:
        places = list(_places(root))
        inside, key = places[step.place % len(places)]
        if step.how == "drop" and inside is not root:
            del inside[key]
        elif step.how == "add" and isinstance(inside, dict):
            inside[step.key] = copy.deepcopy(step.value)
        elif step.how == "repeat" and isinstance(inside, list) and inside is not root:
            inside.insert(key, copy.deepcopy(inside[key]))
        else:
            inside[key] = copy.deepcopy(step.value)
    return root[0]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each list or dict inside `value` with each of its indices or keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
