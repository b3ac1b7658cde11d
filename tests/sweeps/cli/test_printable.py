"""What a job, a file or a server says must not control the terminal of who reads it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.cli.display.alias_history import print_history
from sweeps.cli.display.console import SafeConsole, open_console
from sweeps.cli.display.listing import listing_rows, print_elsewhere
from sweeps.cli.display.rows import print_csv, print_wide
from sweeps.cli.options import log_line
from sweeps.cli.printable import printable, printable_log
from sweeps.cluster.jobs.submitted_sweep import JobState, SubmittedSweep
from sweeps.registry.alias_history import Move, MoveKind
from sweeps.registry.audited_history import AuditedHistory

# Set the title, overwrite the line, move the cursor up and clear, reverse what follows, an 8-bit CSI, a hyperlink.
ATTACKS = {
    "title": "\x1b]0;owned\x07",
    "overwrite": "real\rfake",
    "cursor": "\x1b[2A\x1b[2K",
    "bidi": "\u202egnp.exe",
    "isolate": "\u2067x\u2069",
    "c1": "\x9b2J",
    "link": "\x1b]8;;http://127.0.0.1\x1b\\click\x1b]8;;\x1b\\",
    "delete": "ab\x7f\x08\x08",
    "surrogate": "\udc9b",
}
HARMFUL = [
    *map(chr, range(9)),
    *map(chr, range(11, 32)),
    "\x7f",
    "\x9b",
    "\x9d",
    "\u202e",
    "\u2067",
    "\u2069",
    "\udc9b",
]
runner = CliRunner()
every_attack = pytest.mark.parametrize("attack", list(ATTACKS.values()), ids=list(ATTACKS))


def is_harmless(text: str) -> bool:
    return not any(character in text for character in HARMFUL)


@given(text=st.text())
def test_printed_text_keeps_everything_but_controls(text: str) -> None:
    shown = printable(text)
    assert is_harmless(shown)
    assert printable(shown) == shown
    assert len(shown) == len(text) + 5 * sum(map(shown.count, ["\\u"])) - 5 * text.count("\\u")


def test_escapes_are_those_of_json() -> None:
    text = '"' + "".join(ATTACKS.values()).replace("\\", "") + '"'
    assert json.loads(printable(text)) == text[1:-1]
    assert printable("caf\u00e9 \U0001f600\tb\n") == "caf\u00e9 \U0001f600\tb\n"


def test_a_log_loses_its_colours_and_its_progress_bars_become_lines() -> None:
    log = "\x1b[36m(pid=1)\x1b[0m 10 %\r50 %\r\n\x1b[1;31mred\x1b[0m\tx\n\x1b[2Jgone\n"
    assert printable_log(log) == "(pid=1) 10 %\n50 %\nred\tx\n\\u001b[2Jgone\n"


@every_attack
def test_a_file_that_attacks_is_quoted_without_its_controls(attack: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    value = json.dumps(attack).strip('"')
    path.write_text(f'name: "{value}"\ndata: {{name: "{value}"}}\n"k{value}": 1\n')
    done = subprocess.run(
        [sys.executable, "-m", "sweeps", "validate", str(path), "--set", f"a{printable(attack)}=1"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert is_harmless(done.stderr.decode())
    assert b"Traceback" not in done.stderr


@every_attack
def test_a_line_of_standard_error_has_no_controls(attack: str, capfd: pytest.CaptureFixture[str]) -> None:
    log_line(f"trial failed: {attack}")
    assert capfd.readouterr().err == f"sweeps: trial failed: {printable(attack)}\n"


@every_attack
def test_what_a_job_says_of_itself_has_no_controls(
    attack: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)  # CSV is exact for a program
    monkeypatch.setenv("TERM", "dumb")
    sweep = SubmittedSweep("mine", f"mine{attack}", 1, JobState.RUNNING, f"ann{attack}", 4, 0, f"line{attack}")
    print_elsewhere([sweep], [])
    print_csv(listing_rows([], [sweep], []))
    print_wide(listing_rows([], [sweep], []))
    assert is_harmless(shown := capfd.readouterr().out)
    assert printable(attack) in shown


@every_attack
def test_tags_of_a_registered_model_have_no_controls(attack: str, capfd: pytest.CaptureFixture[str]) -> None:
    move = Move("2", None, MoveKind.PROMOTION, f"why{attack}", f"s{attack}", "0001", who=f"ann{attack}")
    history = AuditedHistory([(move, None)], f"2{attack}", f"host{attack}", 1, [f"other{attack}"])
    print_history("digits", "champion", history)
    assert is_harmless(capfd.readouterr().out)


@every_attack
def test_a_terminal_gets_the_styles_of_a_table_and_no_controls_of_its_text(attack: str) -> None:
    file = io.StringIO()
    console = SafeConsole(file=file, force_terminal=True, color_system="standard", width=200)
    table = Table("name")
    table.add_row(Text(attack, style="red"))
    console.print(table)
    console.print(f"plain {attack}", markup=False, soft_wrap=True)
    written = file.getvalue()
    assert "\x1b[31m" in written  # ours
    assert is_harmless(printable_log(written))
    assert "\\u001b" not in printable_log(written) or "\x1b" in attack
    assert attack not in written


def test_brackets_from_outside_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    open_console().print("a [/b] [link=http://127.0.0.1]c[/link]")
    assert capsys.readouterr().out == "a [/b] [link=http://127.0.0.1]c[/link]\n"


def test_logs_prints_no_controls_and_json_has_the_log_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    log = "".join(ATTACKS.values()).replace("\udc9b", "") + "\n"
    monkeypatch.setattr("sweeps.cluster.jobs.client.connect", Mock())
    found = SimpleNamespace(sweep="mine", job="mine")
    monkeypatch.setattr("sweeps.cluster.jobs.submissions.find_submitted", lambda *_: found)
    monkeypatch.setattr("sweeps.cluster.jobs.submissions.logs", lambda *_, **__: iter([log, log]))
    shown = runner.invoke(app, ["logs", "mine"]).stdout
    assert is_harmless(shown)
    assert "owned" in shown
    printed = runner.invoke(app, ["logs", "mine", "--json"]).stdout
    assert json.loads(printed)["log"] == log * 2
    assert is_harmless(printed.replace("\x7f", ""))


@pytest.mark.parametrize("arguments", [["recipes"], ["schema"], ["list", "--json"], ["validate", "nothing", "--json"]])
def test_a_full_disk_under_the_output_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sweeps", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env=os.environ | {"SWEEPS_HOME": str(tmp_path)},
            timeout=120,
            check=False,
        )
    assert done.returncode in (1, 2)
    assert b"Traceback" not in done.stderr
    assert b"no space to write the output" in done.stderr
    assert done.stderr.count(b"\n") <= 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["extend", "x", "--trials"],
        ["best", "x", "--top"],
        ["promote", "x", "--model", "m", "--seeds"],
        ["ui", "--port"],
        ["sync", "x", "--patience"],
    ],
)
@pytest.mark.parametrize("number", ["1" + "0" * 400, "9" * 5000, "1e999", "nan", "-1"])
def test_a_huge_number_in_an_option_is_refused_by_the_options_name(arguments: list[str], number: str) -> None:
    done = runner.invoke(app, [*arguments, number], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert f"Invalid value for '{arguments[-1]}'" in done.stderr
