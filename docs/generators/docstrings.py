"""Docstrings as Markdown: paragraphs, lists of arguments and errors, and examples as blocks."""

import inspect
import re
from textwrap import dedent
from typing import Any

from generators.markdown import block

_SECTION = re.compile(r"(Args|Arguments|Attributes|Raises|Returns|Yields|Example|Examples):\n((?: .*(?:\n|$)|\n)+)")


def docstring(thing: Any) -> str:
    """Return the docstring of a function or class, in Google's style, as Markdown."""
    text, found = "", inspect.getdoc(thing) or ""
    end = 0
    for section in _SECTION.finditer(found):
        text += paragraphs(found[end : section.start()]) + titled(section[1], dedent(section[2]))
        end = section.end()
    return text + paragraphs(found[end:])


def titled(title: str, body: str) -> str:
    """Return a section: a list of names, or text with examples."""
    if title.startswith("Example"):
        return paragraphs(body)
    heading = "Arguments" if title == "Args" else title
    entries = re.sub(r"\n +", " ", body.strip()).splitlines()
    lines = [re.sub(r"^([\w.*]+)(?: \([^)]*\))?: ", r"`\1`: ", entry) for entry in entries]
    return f"**{heading}**\n\n" + "".join(f"- {line}\n" for line in lines) + "\n"


def paragraphs(text: str) -> str:
    """Return paragraphs; those that are examples become blocks."""
    result = ""
    for paragraph in filter(None, (part.strip("\n") for part in text.split("\n\n"))):
        if paragraph.lstrip().startswith(">>>"):
            result += block("python", dedent(paragraph), "a test runs the examples of docstrings")
        else:
            result += f"{paragraph}\n\n"
    return result
