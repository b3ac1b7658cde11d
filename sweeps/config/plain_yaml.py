"""Strict YAML as plain values, read within limits: what a document expands to is counted before anything is built."""

import re
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from sweeps.config.issues import shown
from sweeps.errors import ConfigError

if TYPE_CHECKING:
    from yaml._yaml import CParser as Scanner
else:
    try:
        from yaml._yaml import CParser as Scanner  # libyaml, which PyYAML's wheels include: ten times as fast
    except ImportError:
        from sweeps.config.python_yaml import PythonScanner as Scanner

MAX_VALUES = 100_000
MAX_DEPTH = 50
# No setting has more, and to convert them takes time that grows with their square.
MAX_DIGITS = 500
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*)(\.[0-9_]*)?[eE][-+]?[0-9]+")
_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")
_OTHER_LINE_BREAK = re.compile("[\x85\u2028\u2029]")
_PREFIX = "tag:yaml.org,2002:"
_MERGE, _TEXT = f"{_PREFIX}merge", f"{_PREFIX}str"
_NOT_READ = (f"{_PREFIX}timestamp", f"{_PREFIX}value")


def parse_yaml(text: str, source: str) -> Any:
    """Return one YAML value, made of plain values; `source` names it in errors."""
    try:
        return read_plain(PlainLoader(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigError(f"{source} must be plain YAML{where}: {_one_line(error.problem)}") from error
    except UnicodeEncodeError as error:
        raise ConfigError(f"{source} must be UTF-8 text, without half a surrogate pair") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} must be plain YAML: {_one_line(error)}") from error


def write_yaml(value: Any) -> str:
    """Return plain values as the YAML that `parse_yaml` reads as the same values."""
    return yaml.dump(value, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True)


def read_plain(loader: "PlainRules") -> Any:
    """Return the value of a loader's text; MarkedYAMLError if it breaks the rules."""
    return loader.get_single_data()


class PlainRules(Composer, SafeConstructor, Resolver):
    """Composes and constructs plain values only: no dates, tags, merge keys or repeated keys; 1e-3 is a number."""

    def __init__(self) -> None:
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self._n_values = 0
        self._depth = 0
        self._deepest = 0
        # How many values each anchored node holds, itself among them, and on how many levels.
        self._extents: dict[yaml.Node, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        """Return a node; MarkedYAMLError once the document, its aliases expanded, exceeds the limits."""
        event: Any = self.peek_event()  # type: ignore[attr-defined]  # of the scanner
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if node not in self._extents:
                raise _error("a value must not contain itself", event)
            self._count(*self._extents[node], event)
            return node
        deepest_before, n_before = self._deepest, self._n_values
        self._deepest = self._depth
        self._count(1, 1, event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor is not None and node is not None:
            self._extents[node] = self._n_values - n_before, self._deepest - self._depth
        self._deepest = max(deepest_before, self._deepest)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping; MarkedYAMLError for a merge key, a key that is no text, and one that is given twice."""
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():  # `!!map 1` is refused below
            if key.tag == _MERGE:
                raise _error("merge keys (<<) are not read: write the settings out", key)
            if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
                raise _error(f"the key {_written(key)} must be text: put it in quotes", key)
            if key.value in seen:
                raise _error(f"{key.value[:60]!r} is given twice: remove one", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: Any) -> Any:
        """Return the text of a scalar; MarkedYAMLError for half a surrogate pair."""
        text = super().construct_scalar(node)
        if _HALF_OF_A_PAIR.search(text):
            raise _error(f"{shown(text)} contains half a surrogate pair", node)
        return text

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """Return a whole number or a float; MarkedYAMLError for more digits than a setting can have."""
        if len(node.value) > MAX_DIGITS:
            raise _error(f"a number must have at most {MAX_DIGITS} digits, not {len(node.value):,}: shorten it", node)
        try:
            return self.construct_yaml_int(node) if node.tag.endswith(":int") else self.construct_yaml_float(node)
        except (ValueError, OverflowError, LookupError) as error:
            raise _error(f"{shown(node.value)} must be a number", node) from error

    def construct_bool(self, node: yaml.ScalarNode) -> bool:
        """Return true or false; MarkedYAMLError for another text that is tagged so."""
        try:
            return bool(self.construct_yaml_bool(node))
        except LookupError as error:
            raise _error(f"{shown(node.value)} must be true or false", node) from error

    def refuse_tag(self, node: yaml.Node) -> Any:
        """Raise MarkedYAMLError: a tag asks for more than plain values."""
        raise _error(f"the tag {node.tag[:100]!r} is not allowed: write a plain value", node)

    def _count(self, n_values: int, n_levels: int, event: Any) -> None:
        self._n_values += n_values
        self._deepest = max(self._deepest, self._depth + n_levels)
        if self._n_values > MAX_VALUES:
            raise _error(f"it has more than {MAX_VALUES:,} values: shorten it", event)
        if self._deepest > MAX_DEPTH:
            raise _error(f"it is nested too deeply, on more than {MAX_DEPTH} levels: flatten it", event)


class PlainLoader(PlainRules, Scanner):
    """Reads plain YAML values from text."""

    def __init__(self, text: str) -> None:
        Scanner.__init__(self, text)
        PlainRules.__init__(self)


PlainRules.yaml_constructors = {
    **{f"{_PREFIX}{name}": SafeConstructor.yaml_constructors[f"{_PREFIX}{name}"] for name in ("null", "str")},
    **{f"{_PREFIX}{name}": SafeConstructor.yaml_constructors[f"{_PREFIX}{name}"] for name in ("seq", "map")},
    **dict.fromkeys((f"{_PREFIX}int", f"{_PREFIX}float"), PlainRules.construct_number),
    f"{_PREFIX}bool": PlainRules.construct_bool,
    None: PlainRules.refuse_tag,
}
PlainRules.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_READ]
    for first, resolvers in Resolver.yaml_implicit_resolvers.items()
}
PlainRules.add_implicit_resolver(f"{_PREFIX}float", _FLOAT, list("-+0123456789"))


class _PlainDumper(yaml.SafeDumper):
    """Writes plain values; text that `PlainRules` would read as a number is put in quotes."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Return the node of a text; line breaks that libyaml and PyYAML read differently are escaped."""
        return self.represent_scalar(_TEXT, text, style='"' if _OTHER_LINE_BREAK.search(text) else None)


_PlainDumper.add_representer(str, _PlainDumper.represent_text)
_PlainDumper.add_implicit_resolver(f"{_PREFIX}float", _FLOAT, list("-+0123456789"))


def _error(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, problem, place.start_mark)


def _written(key: yaml.Node) -> str:
    return str(key.value)[:60] if isinstance(key, yaml.ScalarNode) else "of several values"


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())
