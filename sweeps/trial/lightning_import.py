"""Lightning imported without what no trial uses; to be imported before anything that imports Lightning.

Of the CPU time in which a worker imports Lightning half goes into torchmetrics, which loads matplotlib and scipy.signal
where they are installed, and into torch's compiler. Both stay usable: whoever asks for them later gets them.
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
    """Stands for torch's compiler: has what is asked for where nothing is compiled, and loads the rest when asked."""

    class OptimizedModule:
        """What no module is an instance of until something is compiled."""

    @staticmethod
    def disable(function: FunctionT, *_: Any, **__: Any) -> FunctionT:
        """The function itself: where nothing is compiled, there is nothing to keep the compiler from."""
        return function

    @staticmethod
    def graph_break(*_: Any, **__: Any) -> None:
        """Nothing: there is no graph to break."""

    def __init__(self) -> None:
        super().__init__(_COMPILER)
        self.__spec__ = find_spec(_COMPILER)
        self.__path__ = _PathOnDemand(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.load(), name)

    def load(self) -> ModuleType:
        """Take the stand-in away and import the compiler itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


class _PathOnDemand(list[str]):
    """Where the compiler's modules lie: who imports one of them has to have it whole."""

    def __init__(self, compiler: CompilerOnDemand) -> None:
        super().__init__()
        self._compiler = compiler

    def __iter__(self) -> Iterator[str]:
        return iter(self._compiler.load().__path__)


def import_lightning() -> None:
    """Import Lightning and torch, where nobody has yet; the compiler's stand-in stays."""
    if "pytorch_lightning" in sys.modules:
        return
    import torch  # noqa: F401  # which may import its compiler by itself

    if _COMPILER not in sys.modules:
        sys.modules[_COMPILER] = CompilerOnDemand()
    with _hidden(*_OPTIONAL):
        import pytorch_lightning  # noqa: F401


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Let packages that are not imported yet seem not to be installed, to those who ask by Lightning's utilities."""
    from lightning_utilities.core import imports

    hidden = [name for name in packages if name not in sys.modules]
    version: Callable[[str], str] = vars(imports)["_version"]

    def version_unless_hidden(name: str) -> str:
        if name in hidden:
            raise PackageNotFoundError(name)
        return version(name)

    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be imported
    try:
        with patch.object(imports, "_version", version_unless_hidden):
            yield
    finally:
        for name in hidden:
            del sys.modules[name]
        for asked in (imports.package_available, imports.module_available):
            asked.cache_clear()


import_lightning()
