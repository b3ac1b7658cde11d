"""The fenced blocks of a page of documentation: their language, and the marks in comments before them.

A mark is a comment in the lines above a block: `<!-- not run: REASON -->`, `<!-- file: NAME -->`, or
`<!-- exit: STATUS -->` for the status with which its last command ends, if it is not 0.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

RUN = ("bash", "console", "python")
NEVER_RUN = ("", "text", "json", "toml", "csv", "diff", "{toctree}", "{include}")
MARKS = ("not run", "file", "exit")


@dataclass(frozen=True)
class Block:
    """A fenced block, the line of its first fence, and its marks."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str]

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        return "not run" not in self.marks and (self.language in (*RUN, "yaml") or "file" in self.marks)

    @property
    def is_sweep_file(self) -> bool:
        if self.language != "yaml" or "not run" in self.marks:
            return False
        content = yaml.safe_load(self.text)
        return isinstance(content, dict) and "name" in content and bool({"data", "model"} & set(content))

    def issues(self) -> Iterator[str]:
        """Yield what is wrong with the block before it runs."""
        for mark, value in self.marks.items():
            if mark not in MARKS:
                yield f"{self.place}: unknown mark {mark!r}; known are {', '.join(MARKS)}"
            elif not value:
                yield f"{self.place}: the mark {mark!r} needs a value"
        if set(self.marks) & {"not run", "file"} or self.language in (*RUN, *NEVER_RUN) or self.is_sweep_file:
            return
        if self.language == "yaml":
            yield f"{self.place}: not a whole sweep file: put <!-- file: NAME --> or <!-- not run: REASON --> before it"
        else:
            yield (
                f"{self.place}: no test runs {self.language!r}: use one of {', '.join(RUN)}, or put "
                "<!-- not run: REASON --> before it"
            )


def blocks_of(path: Path, name: str) -> list[Block]:
    """Return the fenced blocks of a page in their order; fail on code that is only indented."""
    blocks = []
    tokens = MarkdownIt("commonmark").parse(path.read_text())
    for before, token in zip([None, *tokens], tokens, strict=False):
        assert token.type != "code_block", (
            f"{name}:{token.map[0] + 1 if token.map else 0}: use a fence, not indentation"
        )
        if token.type == "fence":
            comments = before.content if before is not None and before.type == "html_block" else ""
            marks = dict(re.findall(r"<!--\s*([a-z ]+?):\s*(.*?)\s*-->", comments, flags=re.DOTALL))
            language = token.info.split()[0] if token.info.strip() else ""
            blocks.append(Block(name, token.map[0] + 1 if token.map else 0, language, token.content, marks))
    return blocks


@dataclass(frozen=True)
class Command:
    """A command of a console block, and the lines that are shown below it."""

    text: str
    expected: tuple[str, ...]


def commands_of(block: Block) -> list[Command]:
    """Return the commands of a console block, each a line after `$ `, continued after a backslash at its end."""
    commands: list[Command] = []
    lines = iter(block.text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            text = line.removeprefix("$ ")
            while text.endswith("\\"):
                text += "\n" + next(lines).removeprefix("> ")
            commands.append(Command(text, ()))
        else:
            assert commands, f"{block.place}: a console block starts with a command after '$ '"
            commands[-1] = Command(commands[-1].text, (*commands[-1].expected, line))
    return commands


def is_shown(expected: tuple[str, ...], output: str) -> bool:
    """Return whether an output is as a page shows it.

    A line `...` stands for any lines, and `...` in a line for any text. Where the page breaks a line, the output may
    have a space.
    """
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            words = [re.escape(part) for part in line.strip().split("...")]
            pattern += r"(?:^|(?<=[\n ]))[ ]*" + r"[^\n]*?".join(words) + r"(?: *\n| +)"
    text = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
    return re.fullmatch(pattern + r"\n*", text) is not None
