"""The first thing that runs on the cluster: what it needs is checked before anything of it is imported.

Plain Python of any version, and nothing imported but the standard library: the file is shipped by itself.
"""

import sys


def main() -> None:
    """Check the interpreter and the packages, then supervise the sweep, or give the one command that is asked for."""
    if sys.version_info < (3, 11):  # noqa: UP036 (the cluster's, whatever that is)
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit("sweeps: the cluster's Python must be 3.11 or newer, not " + version + " (" + sys.executable + ")")
    import importlib.util

    packages = ("mlflow", "optuna", "pydantic", "pytorch_lightning", "ray", "sklearn", "torch", "typer", "yaml")
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        what = ", ".join(missing)
        sys.exit("sweeps: the cluster's Python must have " + what + " (" + sys.executable + "): install them there")
    if sys.argv[1] == "--relay":
        from sweeps.cluster.jobs.remote_cli_entry import give

        sys.exit(give(sys.argv[2:]))
    from sweeps.cluster.jobs.supervisor import supervise

    sys.exit(supervise(sys.argv[1], sys.argv[2:]))


if __name__ == "__main__":
    main()
