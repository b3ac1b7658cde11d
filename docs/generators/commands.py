"""The reference of the command line, from its table of commands."""

from typing import Any

import typer
from typer.core import TyperGroup

from generators.markdown import block, code, table
from sweeps.cli.app import app
from sweeps.cli.exit_statuses import GENERAL, OF_COMMAND

INTRODUCTION = """\
# Commands

`sweeps COMMAND --help` prints the same. Name a sweep by its id, a unique prefix of it, its name (the newest of that
name) or `latest`, and a trial by SWEEP/TRIAL (`latest/0007`). With `--json`, a command prints one JSON object on
standard output; progress goes to standard error.

## Exit status

These hold for all commands. Where a status means something more specific, the command lists it.

"""


def page() -> str:
    """Return the page."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    context = group.make_context("sweeps", [], resilient_parsing=True)
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    assert set(OF_COMMAND) <= set(commands), "exit statuses of a command that does not exist"
    text = INTRODUCTION + table(("status", "meaning"), ((str(status), what) for status, what in GENERAL.items()))
    text += "## Options before a command\n\n" + parameters(group, context, "option")
    text += "## All commands\n\n"
    rows = ((f"[{code(f'sweeps {name}')}](#sweeps-{name})", first_line(c)) for name, c in commands.items())
    text += table(("command", "what it does"), rows)
    return text + "".join(command_section(name, command, context) for name, command in commands.items())


def first_line(command: Any) -> str:
    """Return the first paragraph of a command's help."""
    return str(command.help).partition("\n\n")[0]


def command_section(name: str, command: Any, parent: Any) -> str:
    """Return one command: what it does, its usage, arguments, options, exit statuses and examples."""
    with command.make_context(name, [], parent=parent, resilient_parsing=True) as context:
        usage = " ".join(["sweeps", name, *command.collect_usage_pieces(context)])
        text = f"## sweeps {name}\n\n{command.help.strip()}\n\n" + block("text", usage)
        text += parameters(command, context, "argument") + parameters(command, context, "option")
    if statuses := OF_COMMAND.get(name):
        text += table(("exit status", "meaning"), ((str(status), what) for status, what in statuses.items()))
    examples = [line.strip() for line in (command.epilog or "").splitlines()[1:]]
    return text + block("bash", "\n".join(examples), "an example of the command")


def parameters(command: Any, context: Any, kind: str) -> str:
    """Return a table of the arguments or of the options of a command, without --help."""
    records = [
        record
        for parameter in command.get_params(context)
        if parameter.param_type_name == kind and (record := parameter.get_help_record(context)) is not None
    ]
    shown = [(name.removesuffix(" <str>"), what) for name, what in records if name != "--help"]
    return table((kind, "meaning"), ((code(name), what) for name, what in shown)) if shown else ""
