"""What the exit status of each command means, for its documentation."""

GENERAL = {
    0: "done",
    1: "the sweep failed, no trial measured its objective, or something outside the command did: storage, a cluster",
    2: "bad input, one line for each issue",
    130: "interrupted, by Ctrl-C or `sweeps stop`",
}

_SOME_TRIALS_FAILED = {3: "the sweep ended, and some trials failed", 130: "interrupted: continue with `sweeps resume`"}

OF_COMMAND: dict[str, dict[int, str]] = {
    "run": _SOME_TRIALS_FAILED,
    "resume": _SOME_TRIALS_FAILED,
    "extend": _SOME_TRIALS_FAILED,
    "reproduce": {1: "a sweep failed", 3: "some published numbers were missed", 130: "interrupted"},
    "status": {0: "shown; with `--watch`: the sweep ended, in any state, or Ctrl-C ended the watch"},
    "promote": {1: "rejected, or would be with `--dry-run`"},
    "history": {1: "with `--verify`: a check failed"},
    "score": {3: "some samples have no score"},
}
