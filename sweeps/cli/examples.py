"""Examples of each command, as its help shows them."""

EXAMPLES = {
    "run": (
        "sweeps run quickstart",
        "sweeps run mine.yaml --set budget.trials=4 --set training.epochs=5",
    ),
    "submit": ("sweeps submit mine.yaml --address http://head:8265",),
    "logs": ("sweeps logs -f latest",),
    "stop": ("sweeps stop latest",),
    "resume": ("sweeps resume latest",),
    "extend": ("sweeps extend quickstart --trials 16",),
    "delete": ("sweeps delete quickstart-20261130-112751-2102 --runs",),
    "list": ("sweeps list", "sweeps list --csv > sweeps.csv"),
    "status": ("sweeps status latest",),
    "best": (
        "sweeps best latest",
        "sweeps best quickstart --top 3        # the newest sweep named quickstart",
        "sweeps best latest --csv > trials.csv",
    ),
    "diagnose": ("sweeps diagnose latest           # its best trial", "sweeps diagnose latest/0007"),
    "evaluate": ("sweeps evaluate latest", "sweeps evaluate quickstart --trial 7"),
    "reproduce": ("sweeps reproduce mnist-sda", "sweeps reproduce --judge --markdown"),
    "promote": (
        "sweeps promote latest --model digits --first",
        "sweeps promote latest/0007 --model digits --dry-run",
    ),
    "rollback": ("sweeps rollback digits",),
    "history": ("sweeps history digits",),
    "score": ("sweeps score digits@champion samples.npy scores.npz",),
    "sync": ("sweeps sync latest",),
    "recipes": ("sweeps recipes",),
    "show": ("sweeps show quickstart > mine.yaml",),
    "validate": ("sweeps validate mine.yaml", "sweeps validate quickstart --set budget.trials=4"),
    "explain": ("sweeps explain", "sweeps explain model.noise", "sweeps explain training.learning_rate"),
    "schema": ("sweeps schema > sweep.schema.json",),
    "ui": ("sweeps ui --port 5001",),
}


def examples(command: str) -> str:
    """Return the end of a command's help, with its examples."""
    lines = EXAMPLES[command]
    return "\n".join(["Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])
