"""A command as the user typed it, to be run again on a cluster."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Self

import typer
from typer.core import TyperGroup, TyperOption

_TYPED = "sweeps.typed"
_ADDRESS = "--address"


class RecordingGroup(TyperGroup):
    """The group of all commands; keeps what was typed for `TypedCommand.of`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the program, and keep a copy of them."""
        ctx.meta[_TYPED] = tuple(args)
        return super().parse_args(ctx, args)


@dataclass(frozen=True)
class TypedCommand:
    """A command, one part for each option with its value and for each argument, and the arguments typed after `--`."""

    name: str
    parts: tuple[tuple[str, ...], ...]
    after_separator: tuple[str, ...] = ()

    @classmethod
    def of(cls, context: typer.Context) -> Self:
        """Return the command that runs, without its `--address`: what a cluster at that address has to run."""
        name, typed = str(context.info_name), context.meta[_TYPED]
        words = iter(typed[typed.index(name) + 1 :])
        options = [option for option in context.command.params if isinstance(option, TyperOption)]
        parts = tuple(_parts(words, options))
        return cls(name, parts, after_separator=tuple(words)).without(_ADDRESS)

    def to_list(self) -> list[str]:
        """Return the program's arguments: the command's name, then what was typed, in the same order."""
        separated = ("--", *self.after_separator) if self.after_separator else ()
        return [self.name, *chain.from_iterable(self.parts), *separated]

    def renamed(self, name: str) -> Self:
        """Return the same options and arguments for another command."""
        return replace(self, name=name)

    def without(self, *options: str) -> Self:
        """Return the command without these options and their values."""
        return replace(self, parts=tuple(part for part in self.parts if part[0].partition("=")[0] not in options))

    def with_option(self, *words: str) -> Self:
        """Return the command with one more option; unchanged if it was typed already."""
        return self if words in self.parts else replace(self, parts=(*self.parts, words))

    def with_argument(self, argument: str) -> Self:
        """Return the command with another value of its one argument."""
        if self.after_separator:
            return replace(self, parts=(*self.parts, (argument,)), after_separator=())
        return replace(self, parts=tuple(part if _is_option(part[0]) else (argument,) for part in self.parts))


def _parts(words: Iterator[str], options: Iterable[TyperOption]) -> Iterator[tuple[str, ...]]:
    """Take the words before `--`, each option together with its value, as the command's parser does."""
    with_value = {name for option in options if not option.is_flag for name in option.opts}
    for word in words:
        if word == "--":
            return
        yield (word, next(words)) if word in with_value else (word,)


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"
