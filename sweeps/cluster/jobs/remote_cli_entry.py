"""On the cluster: runs one command for a user on another machine, and answers with its output."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from sweeps.cluster.jobs.client import ADDRESS_VARIABLE
from sweeps.cluster.jobs.remote_cli import ANSWER, Answer


def run(arguments: Sequence[str]) -> int:
    """Run the command line with `arguments`, and print its output and status as one line of JSON; return 0."""
    # A command that does not find its sweep here must not ask a cluster in turn.
    environment = {key: value for key, value in os.environ.items() if key != ADDRESS_VARIABLE}
    command = [sys.executable, "-m", "sweeps", *arguments]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    print(ANSWER + json.dumps(asdict(Answer(done.returncode, done.stdout, done.stderr))), flush=True)
    return 0
