"""Single-line changes to a module's source, each of which a test should notice."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_BOOLEANS = {ast.And: "or", ast.Or: "and"}
_OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}
# Modes that keep other users out, opened to them.
_OPENED = {"0o700": "0o755", "0o600": "0o644", "0o077": "0o000"}
# What a call to one of these does is for people to read, or for speed.
_UNGUARDED_CALLS = {"logger", "log", "print", "echo", "announce"}


@dataclass(frozen=True)
class Mutant:
    """A changed module: `before` on `line` (counted from 1) was replaced by `after`; `source` is all of it."""

    line: int
    before: str
    after: str
    source: str

    @property
    def change(self) -> str:
        """The change in one line."""
        return f"{' '.join(self.before.split())}  ->  {self.after}"


def mutants(source: str) -> list[Mutant]:
    """Return each mutant of a module that is still Python, in the order of its lines."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    text = source.encode()
    found = {}
    for node, after in _replacements(ast.parse(source), source):
        first = starts[node.lineno - 1] + node.col_offset
        last = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        changed = (text[:first] + after.encode() + text[last:]).decode()
        found[changed] = Mutant(node.lineno, text[first:last].decode(), after, changed)
    return sorted(filter(_is_python, found.values()), key=lambda mutant: (mutant.line, mutant.change))


def _replacements(tree: ast.Module, source: str) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Yield nodes of a module with the text that replaces each."""
    skipped = {id(part) for node in ast.walk(tree) if _is_no_guard(node) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.If | ast.IfExp | ast.While) and not _has_a_complement(node.test):
            yield node.test, f"(not ({_text(node.test, source)}))"
        elif isinstance(node, ast.comprehension):
            yield from ((test, "True") for test in node.ifs)
        elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
            yield node, "pass"
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = _text(node.left, source), _text(node.comparators[0], source)
            if "time.monotonic()" in f"{left} {right}":  # no test sees the very moment of a deadline
                yield node, f"(not ({_text(node, source)}))"
            else:
                yield node, f"({left} {_COMPARISONS[type(node.ops[0])]} {right})"
        elif isinstance(node, ast.BoolOp):
            yield node, "(" + f" {_BOOLEANS[type(node.op)]} ".join(f"({_text(v, source)})" for v in node.values) + ")"
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield node, str(not node.value)
        elif isinstance(node, ast.Constant) and (opened := _OPENED.get(_text(node, source))):
            yield node, opened
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            yield node, f"({_text(node.operand, source)})"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in _OPPOSITES:
            yield node, _OPPOSITES[node.id]


def _has_a_complement(test: ast.expr) -> bool:
    """Return whether another replacement negates a test already."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return not isinstance(test.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
    return isinstance(test, ast.UnaryOp)


def _is_no_guard(node: ast.AST) -> bool:
    """Return whether a change below `node` leaves what a guard does: asserts, messages, logs, `zip(strict=)`."""
    if isinstance(node, ast.Assert | ast.JoinedStr):
        return True
    if isinstance(node, ast.Expr):
        return _is_no_guard(node.value)
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.keyword):
        return node.arg == "strict"
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).split(".")
        return bool(_UNGUARDED_CALLS & {name[0], name[-1]}) or name[-1] == "dataclass"
    return False


def _text(node: ast.expr, source: str) -> str:
    return ast.get_source_segment(source, node) or ast.unparse(node)


def _is_python(mutant: Mutant) -> bool:
    try:
        compile(mutant.source, "mutant", "exec")
    except SyntaxError:
        return False
    return True
