"""The code of plug-ins on its way to other hosts: which files are sent, and which a cluster must have installed."""

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sweeps.config import SweepConfig
from sweeps.config.plugin_source import PluginSource, plugins_of, source_of
from sweeps.errors import ClusterError

MAX_BYTES = 20 * 2**20


def network_sources(config: SweepConfig) -> list[PluginSource]:
    """Return the sources of a sweep's plug-in networks, which its workers import. Raises ConfigError."""
    return [source_of(plugin) for plugin in plugins_of(config) if plugin.role != "data"]


def search_folders(sources: Iterable[PluginSource]) -> list[str]:
    """Return the folders in which workers on this machine find the modules."""
    return list(dict.fromkeys(str(entry.parent) for source in sources for entry in source.entries))


def copy_sources(sources: Iterable[PluginSource], folder: Path) -> list[Path]:
    """Copy the packages and modules that can be sent into a folder; return their paths there.

    An installed package that cannot is left out, with a warning: the cluster must have it too. Raises ClusterError for
    code of a folder that is too large, or compiled.
    """
    for source in sources:
        if (reason := _why_not(source)) is None:
            for name, path in source.files():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / name)
        elif source.is_installed:
            logging.getLogger(__name__).warning(
                "The plug-in %s is not sent, as it %s: the cluster must have its package installed", source.name, reason
            )
        else:
            raise ClusterError(
                f"the plug-in {source.name} must be Python source of at most {MAX_BYTES // 2**20} MiB to be sent, and "
                f"{reason}: install it as a package here and on the cluster"
            )
    return sorted(folder.iterdir())


@contextmanager
def staged(sources: Iterable[PluginSource]) -> Iterator[list[str]]:
    """Yield the paths of packages and modules to send, copied to a temporary folder."""
    with TemporaryDirectory(prefix="sweeps-plugins-") as folder:
        yield [str(path) for path in copy_sources(sources, Path(folder))]


def _why_not(source: PluginSource) -> str | None:
    """Return why a plug-in cannot be sent."""
    if compiled := source.compiled():
        return f"has compiled modules ({compiled[0]})"
    sizes = {name: path.stat().st_size for name, path in source.files()}
    if (total := sum(sizes.values())) <= MAX_BYTES:
        return None
    largest = max(sizes, key=lambda name: sizes[name])
    return f"has {total / 2**20:.1f} MiB, of which {largest} has {sizes[largest] / 2**20:.1f}"
