"""Text from outside as it may be printed on a terminal: a job, a file or a server must not control the terminal."""

import re

import typer

# C0 (but newline and tab), DEL and C1 controls; bidirectional marks, which reorder what is read; line and paragraph
# separators; halves of surrogate pairs, which no terminal can encode.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_LINE_ENDS = re.compile(r"\r+\n|\r")


def printable(text: str) -> str:
    r"""Return text with each control character as its escape, such as `\u001b`, which is also the escape of JSON.

    >>> printable("a\x1b]0;title\x07b")
    'a\\u001b]0;title\\u0007b'
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printable_log(text: str) -> str:
    r"""Return text of a log as `printable`, without the colours that a job prints; a progress bar as lines.

    >>> printable_log("\x1b[36m(worker)\x1b[0m 1 %\r2 %\n")
    '(worker) 1 %\n2 %\n'
    """
    return printable(_LINE_ENDS.sub("\n", _COLOURS.sub("", text)))


def echo(text: str, *, newline: bool = True, to_stderr: bool = False) -> None:
    """Print text from outside, as `printable` returns it."""
    typer.echo(printable(text), nl=newline, err=to_stderr)
