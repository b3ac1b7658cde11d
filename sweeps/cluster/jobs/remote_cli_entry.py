"""On the cluster: gives one command for somebody who has no sweeps of their own there, and answers with its output."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from sweeps.cluster.jobs.client import ADDRESS_VARIABLE
from sweeps.cluster.jobs.remote_cli import ANSWER, Answer


def give(arguments: Sequence[str]) -> int:
    """Give `arguments` to the command line and print what came of it as one line; a job that did so has succeeded."""
    # A command that finds no such sweep here must not ask a cluster in turn.
    environment = {key: value for key, value in os.environ.items() if key != ADDRESS_VARIABLE}
    command = [sys.executable, "-m", "sweeps", *arguments]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    print(ANSWER + json.dumps(asdict(Answer(done.returncode, done.stdout, done.stderr))), flush=True)
    return 0
