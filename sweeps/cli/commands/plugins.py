"""Commands for authors of plug-ins."""

from typing import Annotated

import typer

from sweeps.cli.options import Json, print_result


def check_plugin(
    name: Annotated[
        str,
        typer.Argument(metavar="PLUGIN", help="Import path, package.module:Name, or entry point.", show_default=False),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting to test with; may begin with its section, as in data.size=6; may be repeated.",
        ),
    ] = None,
    shape: Annotated[
        str, typer.Option(metavar="SIZES", help="Shape of a sample: features, or height,width of an image.")
    ] = "28,28",
    as_json: Json = False,
) -> None:
    """Test whether a plug-in keeps its contract; exit 1 if a check fails. --shape is for networks."""
    from dataclasses import asdict

    from sweeps.cli.display.checks import print_checks
    from sweeps.plugins import check_data, check_network

    if _is_data(name):
        checks = check_data(name, **_settings(settings or [], "data", ("name",)))
    else:
        given = _settings(settings or [], "model", ("name", "shape"))
        checks = check_network(name, shape=_sizes(shape), **given)
    passed = all(check.status != "failed" for check in checks)
    plain = {"plugin": name, "passed": passed, "checks": [asdict(check) for check in checks]}
    print_result(plain, as_json, lambda: print_checks(name, checks))
    if not passed:
        raise typer.Exit(1)


def _is_data(name: str) -> bool:
    """Whether a plug-in loads data; what cannot be imported counts as a network, and its check says why."""
    from sweeps.plugin_import import DATA, NETWORKS, PluginError, import_plugin, registered

    if ":" not in name and name not in registered(NETWORKS):
        return name in registered(DATA)
    try:
        plugin = import_plugin(name, NETWORKS)
    except PluginError:
        return False
    is_network = isinstance(plugin, type) and hasattr(plugin, "forward")
    return not is_network and (hasattr(plugin, "load") or not isinstance(plugin, type))


def _settings(assignments: list[str], section: str, reserved: tuple[str, ...]) -> dict[str, object]:
    """Return the settings of NAME=VALUE, which may begin with their section as in a sweep file: data.NAME=VALUE.

    Those that the command has arguments for are `reserved`, and refused.
    """
    from sweeps.config.overrides import override
    from sweeps.errors import ConfigError

    document: dict[str, object] = {}
    issues = override(document, [f"{section}.{text.removeprefix(f'{section}.')}" for text in assignments])
    settings = document.get(section, {})
    assert isinstance(settings, dict)
    given_by = {"name": "PLUGIN", "shape": "--shape"}
    issues += [f"--set {key} must be left out: {given_by[key]} decides it" for key in reserved if key in settings]
    if issues:
        raise ConfigError(issues)
    return settings


def _sizes(text: str) -> tuple[int, ...]:
    from sweeps.errors import InputError

    sizes = tuple(int(part) for part in text.split(",") if part.strip().isdecimal())
    if len(sizes) != text.count(",") + 1 or not 0 < len(sizes) < 4 or 0 in sizes:
        raise InputError(f"--shape must be one to three sizes such as 784, 28,28 or 32,32,3, not {text}")
    return sizes
