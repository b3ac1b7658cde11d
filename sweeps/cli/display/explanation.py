"""What a person sees of a setting: its type, range, default and an example; of a section, a table of its settings."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import open_console
from sweeps.config.issues import shown
from sweeps.config.setting import Explanation, Setting


def print_sections(settings: Sequence[Setting]) -> None:
    """Print what stands at the top of a sweep file."""
    console = open_console(highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    for setting in settings:
        table.add_row(Text(setting.path, style="bold"), Text(f"{setting.description}{_required(setting)}"))
    console.print(table)
    console.print("\n`sweeps explain SECTION` lists its settings: `sweeps explain training`")


def print_explanation(explanation: Explanation) -> None:
    """Print each meaning of a path, then the kinds and the settings of a section."""
    console = open_console(highlight=False, markup=False)
    console.print(Text(explanation.path, style="bold"))
    for meaning in explanation.meanings:
        if meaning.kinds:
            console.print(f"\nfor {_head(explanation.path)}.name {_alternatives(meaning.kinds)}:")
        console.print(meaning.description)
        console.print(_facts(meaning))
    if explanation.kinds:
        console.print(f"\n{explanation.path}.name is one of:")
        console.print(_rows(explanation.kinds.items()))
    if explanation.settings:
        console.print()
        console.print(_settings_table(explanation))


def _facts(setting: Setting) -> Table:
    facts = [("type", setting.type), ("range", setting.range), ("default", default_in_words(setting))]
    facts += [("in a file", setting.in_file()), ("or option", setting.on_command_line())]
    return _rows((name, fact) for name, fact in facts if fact)


def _rows(pairs: Any) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, text in pairs:
        table.add_row(f"  {name}", Text(text, overflow="fold"))
    return table


def _settings_table(explanation: Explanation) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("setting", "default", "description"):
        table.add_column(heading, overflow="fold")
    for setting in explanation.settings:
        only = f" ({', '.join(setting.kinds)} only)" if setting.kinds and explanation.kinds else ""
        text = f"{setting.description}{only}{_required(setting)}"
        name, default = setting.path.removeprefix(f"{explanation.path}."), default_in_words(setting) or ""
        table.add_row(name, Text(default), Text(text))
    return table


def default_in_words(setting: Setting) -> str | None:
    """Return the default; None for a required setting, and for a section, whose settings have their own."""
    if setting.required:
        return "none: required" if setting.type != "section" else None
    if isinstance(setting.default, dict):
        return setting.default.get("name")
    return "not set" if setting.default is None else _plain(setting.default)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return value if isinstance(value, str) and value else shown(value)


def _alternatives(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _required(setting: Setting) -> str:
    return " (required)" if setting.required else ""


def _head(path: str) -> str:
    return path.partition(".")[0]
