"""Where the blocks of a page run: a fresh folder, a shell whose variables last, and one Python namespace."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from page_blocks import Block, commands_of, is_shown

# Reads blocks as files' names from standard input, runs each, and answers each with a line.
INTERPRETER = """
import doctest, sys, traceback

sys.path[0] = ""  # as in an interactive session
for line in sys.stdin:
    place, path = line.rstrip("\\n").split("\\t")
    text = open(path).read()
    try:
        if text.startswith(">>> "):
            test = doctest.DocTestParser().get_doctest(text, globals(), place, place, 0)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            failed = runner.run(test, clear_globs=False).failed
            globals().update(test.globs)
        else:
            failed = 0
            exec(compile(text, place, "exec"), globals())
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        failed = 1
    print("\\n--ended--", failed, flush=True)
"""

SWEEPS = f"#!{sys.executable}\nimport sys\nfrom sweeps.cli import main\nsys.exit(main())\n"
PYTHON = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
RESTORE_AND_SAVE = """
if [ -e "$PAGE_STATE" ]; then . "$PAGE_STATE"; fi
save_state() { export -p >"$PAGE_STATE"; printf 'cd %q\\n' "$PWD" >>"$PAGE_STATE"; }
trap save_state EXIT
"""
NOT_FORWARDED = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "MLFLOW_TRACKING_URI", "PYTEST_CURRENT_TEST")


class PageShell:
    """Runs blocks in a folder, as a reader would who types them in one terminal; commands find `.venv/bin` there."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self._state = home / "shell-state"
        self._output = home / "output"
        self._groups: list[int] = []
        self._python: subprocess.Popen[str] | None = None
        bin_folder = folder / ".venv" / "bin"
        bin_folder.mkdir(parents=True)
        for name, text in {"sweeps": SWEEPS, "python": PYTHON, "python3": PYTHON}.items():
            (bin_folder / name).write_text(text)
            (bin_folder / name).chmod(0o755)
        path = os.pathsep.join([str(bin_folder), str(Path(sys.executable).parent), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if name not in NOT_FORWARDED}
        self._environment = kept | {
            "SWEEPS_HOME": str(home / "sweeps"),
            "PATH": path,
            "COLUMNS": "120",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def run(self, block: Block) -> None:
        """Run a block, and fail with its place and output if it fails."""
        if "file" in block.marks:
            self._write(block)
        if block.is_sweep_file:
            self._validate(block)
        elif "file" in block.marks:
            return
        elif block.language == "bash":
            self._check(block, block.text, ())
        elif block.language == "console":
            commands = commands_of(block)
            for command in commands:
                status = block.marks.get("exit", "0") if command is commands[-1] else "0"
                self._check(block, command.text, command.expected, int(status))
        elif block.language == "python":
            self._exec(block)

    def close(self) -> None:
        """End what the blocks left running."""
        if self._python is not None:
            self._python.kill()
            self._python.wait()
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _write(self, block: Block) -> None:
        path = (self.folder / block.marks["file"]).resolve()
        assert path.is_relative_to(self.folder.resolve()), f"{block.place}: {block.marks['file']} is not in the folder"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    def _validate(self, block: Block) -> None:
        path = block.marks.get("file", ".sweep-file-of-the-page.yaml")
        (self.folder / path).write_text(block.text)
        self._check(block, f"sweeps validate {path}", ("...",))

    def _check(self, block: Block, command: str, expected: tuple[str, ...], status: int = 0) -> None:
        found, output = self._bash(command)
        assert found == status, (
            f"{block.place}: exit status {found}, not {status} (<!-- exit: {found} --> before the block allows it):\n"
            f"$ {command}\n{output}"
        )
        shown = "\n".join(expected)
        assert not expected or is_shown(expected, output), (
            f"{block.place}: the output differs. Shown:\n{shown}\nPrinted:\n$ {command}\n{output}"
        )

    def _bash(self, command: str) -> tuple[int, str]:
        """Run a command with the variables and the folder that the last one left; return its status and its output."""
        script = f"set -euo pipefail\n{RESTORE_AND_SAVE}\n{command}"
        with self._output.open("w") as output:  # no pipe: processes in the background would keep it open
            process = subprocess.Popen(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self._environment | {"PAGE_STATE": str(self._state)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._groups.append(process.pid)
            status = process.wait()
        return status, self._output.read_text()

    def _exec(self, block: Block) -> None:
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, "-u", "-c", INTERPRETER],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            self._groups.append(self._python.pid)
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        source = self._output.with_suffix(".py")
        source.write_text(block.text)
        self._python.stdin.write(f"{block.place}\t{source}\n")
        self._python.stdin.flush()
        output = ""
        for line in self._python.stdout:
            if line.startswith("--ended-- "):
                assert line.split()[1] == "0", f"{block.place}:\n{block.text}\n{output}"
                return
            output += line
        raise AssertionError(f"{block.place}: Python ended:\n{output}")
