"""The entry point on the cluster: checks Python and its packages before anything else is imported.

Runs on any version of Python and imports only the standard library: the file is shipped by itself.
"""

import sys


def main() -> None:
    """Check the interpreter and the packages, then supervise a sweep or run one command."""
    if sys.version_info < (3, 11):  # noqa: UP036 (the version is the cluster's)
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit("sweeps: the cluster's Python must be 3.11 or newer, not " + version + " (" + sys.executable + ")")
    import importlib.util

    packages = ("mlflow", "optuna", "pydantic", "pytorch_lightning", "ray", "sklearn", "torch", "typer", "yaml")
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        sys.exit("sweeps: the cluster's Python must have " + names + " (" + sys.executable + "): install them there")
    if sys.argv[1] == "--relay":
        from sweeps.cluster.jobs.remote_cli_entry import run

        sys.exit(run(sys.argv[2:]))
    from sweeps.cluster.jobs.supervisor import supervise

    sys.exit(supervise(sys.argv[1], sys.argv[2:]))


if __name__ == "__main__":
    main()
