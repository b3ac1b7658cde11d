"""`sweeps --version`: the versions that a bug report needs, from the metadata of the packages, importing none."""

import typer

PACKAGE = "autoencoder-sweeps"
LIBRARIES = ("torch", "pytorch-lightning", "ray", "mlflow", "optuna", "numpy", "scikit-learn", "pydantic")


def print_version(is_asked: bool) -> None:
    """Print the version of this package, of Python and of the main libraries, and exit; an eager option's callback."""
    if not is_asked:
        return
    import platform

    lines = [f"sweeps {_version(PACKAGE)}", f"python {platform.python_version()}"]
    typer.echo("\n".join([*lines, *(f"{library} {_version(library)}" for library in LIBRARIES)]))
    raise typer.Exit


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # a tenth of the time that the help takes

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
