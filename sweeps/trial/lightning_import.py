"""Import Lightning without what no trial uses. Import this module before anything that imports Lightning.

Half of the CPU time of importing Lightning goes into torchmetrics, which loads matplotlib and scipy.signal where they
are installed, and into torch's compiler. Both stay usable: they are imported on first use.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar
from unittest.mock import patch

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_COMPILER = "torch._dynamo"
_OPTIONAL = ("matplotlib", "scipy")


class CompilerOnDemand(ModuleType):
    """Stand in for torch's compiler: provide what uncompiled code uses, and import the compiler for anything else."""

    class OptimizedModule:
        """No module is an instance of this until something is compiled."""

    @staticmethod
    def disable(function: FunctionT, *_: Any, **__: Any) -> FunctionT:
        """Return the function: nothing is compiled."""
        return function

    @staticmethod
    def graph_break(*_: Any, **__: Any) -> None:
        """Do nothing: there is no graph to break."""

    def __init__(self) -> None:
        super().__init__(_COMPILER)
        self.__spec__ = find_spec(_COMPILER)
        self.__path__ = _PathOnDemand(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.load(), name)

    def load(self) -> ModuleType:
        """Replace the stand-in by the compiler itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


class _PathOnDemand(list[str]):
    """The package path of the compiler: importing one of its modules imports all of it."""

    def __init__(self, compiler: CompilerOnDemand) -> None:
        super().__init__()
        self._compiler = compiler

    def __iter__(self) -> Iterator[str]:
        return iter(self._compiler.load().__path__)


def import_lightning() -> None:
    """Import Lightning and torch unless they are imported already; the compiler's stand-in stays."""
    if "pytorch_lightning" in sys.modules:
        return
    import torch  # noqa: F401  # may import its compiler by itself

    if _COMPILER not in sys.modules:
        sys.modules[_COMPILER] = CompilerOnDemand()
    with _hidden(*_OPTIONAL):
        import pytorch_lightning  # noqa: F401


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Hide packages that are not imported yet from the checks of Lightning's utilities."""
    from lightning_utilities.core import imports

    hidden = [name for name in packages if name not in sys.modules]
    version: Callable[[str], str] = vars(imports)["_version"]

    def version_unless_hidden(name: str) -> str:
        if name in hidden:
            raise PackageNotFoundError(name)
        return version(name)

    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: importing it fails
    try:
        with patch.object(imports, "_version", version_unless_hidden):
            yield
    finally:
        for name in hidden:
            del sys.modules[name]
        for asked in (imports.package_available, imports.module_available):
            asked.cache_clear()


import_lightning()
