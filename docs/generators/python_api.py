"""The reference of the Python API: every name of `sweeps.__all__`, and the types of this package that they return."""

import ast
import inspect
import re
import sys
import typing
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel
from sphinx.util.inspect import stringify_signature
from sphinx.util.typing import stringify_annotation

import sweeps
from generators.docstrings import docstring
from generators.markdown import code, table

INTRODUCTION = """\
# Python reference

Every public name of `sweeps`; [Python API](../python.md) shows how they work together. In Python, `help(sweeps)` prints
the same.

"""
PACKAGE = "sweeps"
Named = dict[str, Any]


def page() -> str:
    """Return the page."""
    functions, classes, errors = public_names()
    returned = returned_types(functions, classes)
    kinds = {
        "Functions": functions,
        "Classes": classes,
        "Types of what they take and return": returned,
        "Errors": errors,
    }
    names = {real_name(thing): real_name(thing) for thing in [*returned.values(), *errors.values()]}
    names |= {real_name(thing): f"{PACKAGE}.{name}" for name, thing in [*functions.items(), *classes.items()]}
    text = INTRODUCTION + table(
        ("name", "what it gives"),
        (
            (f"[{code(name)}](#{name.lower()})", first_line(thing))
            for group in kinds.values()
            for name, thing in group.items()
        ),
    )
    for heading, group in kinds.items():
        if group:
            text += f"## {heading}\n\n" + "".join(entry(name, thing, names) for name, thing in group.items())
    return text.rstrip() + "\n"


def public_names() -> tuple[Named, Named, Named]:
    """Return the functions, the classes and the errors that users import from `sweeps` and its public modules."""
    listed = [*sweeps.__all__, *getattr(sweeps, "_MODULES", ())]
    public = {name: getattr(sweeps, name) for name in dict.fromkeys(listed)}
    functions = {name: thing for name, thing in public.items() if inspect.isroutine(thing)}
    classes = {name: thing for name, thing in public.items() if inspect.isclass(thing)}
    modules = [thing for thing in public.values() if inspect.ismodule(thing)]
    errors = {
        name: thing
        for module in modules
        for name, thing in vars(module).items()
        if inspect.isclass(thing) and thing.__module__ == module.__name__
    }
    assert len(public) == len(functions) + len(classes) + len(modules), "a public name of another kind"
    return functions, classes, errors


def real_name(thing: Any) -> str:
    """Return where something is defined."""
    return f"{thing.__module__}.{thing.__qualname__}"


def first_line(thing: Any) -> str:
    """Return the first paragraph of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n\n")[0]


def entry(name: str, thing: Any, names: Named) -> str:
    """Return a function or a class, with its members."""
    role = "function"
    if inspect.isclass(thing):
        role = "exception" if issubclass(thing, BaseException) else "class"
    path = names[real_name(thing)]
    head = path + (signature(thing, names) if role == "function" or has_signature(thing) else "")
    inner = members(path, thing, names) if role == "class" else ""
    return f"### {name}\n\n" + directive(role, head, docstring(thing), inner)


def has_signature(thing: Any) -> bool:
    """Whether a class is called with arguments that neither its fields nor its base class explain."""
    return not issubclass(thing, (BaseModel, BaseException, Enum)) and not is_dataclass(thing)


def directive(role: str, head: str, text: str, inner: str = "") -> str:
    """Return the description of a Python object, as MyST reads it and GitHub shows it."""
    fence = ":::" + (":" if inner else "")
    return f"{fence}{{py:{role}}} {head}\n\n{text}{inner}{fence}\n\n"


def members(of: str, owner: type, names: Named) -> str:
    """Return the public fields, properties and methods that a class of this package defines."""
    text = ""
    for member, value in public_members(owner):
        path = f"{of}.{member}"
        if isinstance(value, property):
            returns = hints(value.fget).get("return")
            text += directive("property", path + type_option(returns, names), docstring(value))
        else:
            option = "\n:classmethod:" if isinstance(vars(owner).get(member), classmethod) else ""
            head = path + signature(value, names, is_method=True) + option
            text += directive("method", head, docstring(value))
    return fields_table(owner, names) + text


def fields_table(owner: type, names: Named) -> str:
    """Return the fields of a dataclass or of a section of the sweep file."""
    if issubclass(owner, BaseModel):
        rows = ((code(name), field.description or "") for name, field in owner.model_fields.items())
        return table(("setting", "what it does"), rows)
    rows = [(code(field.name), code(annotated(hint, names)), default) for field, hint, default in fields_of(owner)]
    return table(("field", "type", "default"), rows) if rows else ""


def public_members(owner: type) -> Iterator[tuple[str, Any]]:
    """Yield the documented properties and methods of a class, those of its bases in this package too."""
    seen: set[str] = set()
    for base in owner.__mro__:
        if base.__module__.partition(".")[0] != PACKAGE:
            continue
        for member, value in vars(base).items():
            function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            documented = isinstance(function, property) or inspect.isfunction(function)
            if documented and not member.startswith("_") and member not in seen and inspect.getdoc(function):
                seen.add(member)
                yield member, function


def fields_of(owner: type) -> Iterator[tuple[Any, Any, str]]:
    """Yield the public fields of a dataclass with their types and defaults."""
    if is_dataclass(owner):
        types = typing.get_type_hints(owner, namespace(owner))
        for field in fields(owner):
            if not field.name.startswith("_"):
                is_set = field.default is not MISSING
                default = getattr(field.default, "__name__", repr(field.default))  # a function's repr has its address
                yield field, types[field.name], code(default) if is_set else ""


def type_option(annotation: Any, names: Named) -> str:
    """Return the type of a property, as the directive takes it."""
    return "" if annotation is None else f"\n:type: {annotated(annotation, names)}"


def signature(thing: Any, names: Named, *, is_method: bool = False) -> str:
    """Return a signature with types as users import them."""
    plain = inspect.signature(thing)
    types = hints(thing.__init__ if inspect.isclass(thing) else thing)
    parameters = [
        parameter.replace(annotation=types.get(parameter.name, inspect.Parameter.empty))
        for parameter in plain.parameters.values()
    ][1 if is_method else 0 :]
    returns = inspect.Signature.empty if inspect.isclass(thing) else types.get("return", inspect.Signature.empty)
    text = stringify_signature(plain.replace(parameters=parameters, return_annotation=returns))
    return renamed(text, names)


def annotated(annotation: Any, names: Named) -> str:
    """Return a type as users import it."""
    return renamed(stringify_annotation(annotation), names)


def renamed(text: str, names: Named) -> str:
    """Return text in which types have their public names; those of the standard library and of no page, short ones."""

    def short(match: re.Match[str]) -> str:
        found = match[0]
        return names.get(found) or (found if found.startswith(("pandas.", "numpy.")) else found.rpartition(".")[2])

    return re.sub(r"\b[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", short, text)


def hints(function: Any) -> Named:
    """Return the types of a function's parameters, those that only type checkers import too."""
    return typing.get_type_hints(function, namespace(function))


def namespace(thing: Any) -> Named:
    """Return the names of a module, with those that it, and the modules it imports, import only for type checkers."""
    module = sys.modules[inspect.unwrap(thing).__module__]
    imported = {getattr(value, "__module__", None) for value in vars(module).values()} | {
        node.module for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ImportFrom)
    }
    names: Named = {}
    for name in sorted(name for name in imported if name and name.startswith(f"{PACKAGE}.")):
        names |= guarded_names(sys.modules[name]) if name in sys.modules else {}
    return names | dict(vars(module)) | guarded_names(module)


def guarded_names(module: Any) -> Named:
    """Return the names that a module imports under TYPE_CHECKING."""
    names: Named = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            imports: list[ast.stmt] = [line for line in node.body if isinstance(line, (ast.Import, ast.ImportFrom))]
            exec(compile(ast.Module(imports, []), module.__name__, "exec"), names)  # noqa: S102 (our own imports)
    return names


def returned_types(functions: Named, classes: Named) -> Named:
    """Return the classes of this package in the signatures of public functions that are not public themselves."""
    public = {real_name(thing) for thing in classes.values()}
    found = {part for function in functions.values() for hint in hints(function).values() for part in parts(hint)}
    return {part.__name__: part for part in sorted(found, key=real_name) if real_name(part) not in public}


def parts(hint: Any) -> Iterable[type]:
    """Yield the classes of this package that a type is made of."""
    if inspect.isclass(hint) and hint.__module__.partition(".")[0] == PACKAGE:
        yield hint
    for inner in hint if isinstance(hint, list) else typing.get_args(hint):
        yield from parts(inner)
