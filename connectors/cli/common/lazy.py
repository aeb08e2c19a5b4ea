"""Groups of verbs whose modules are imported only when the command line names one of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LazyGroup"]


class LazyGroup(TyperGroup):
    """A group that knows its verbs by name and short help text until one of them is called.

    Help, completion and suggestions need no more than that, so none of them imports a verb's module.

    Attributes:
        modules: for each module, the verbs that its function `register` adds and the first sentence of their help, in
            the order of the group's help.
    """

    modules: ClassVar[Mapping[str, Mapping[str, str]]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for verbs in self.modules.values():
            self.commands.update((verb, TyperCommand(verb, help=text)) for verb, text in verbs.items())

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the name and the command that `args` begin with, and the rest; the verb's module is imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else self.load(name), rest

    def load(self, verb: str) -> Any:
        """Import a verb's module, and return the verb's whole command."""
        module = next(module for module, verbs in self.modules.items() if verb in verbs)
        app = typer.Typer(rich_markup_mode=None)
        importlib.import_module(module).register(app)
        return typer.main.get_group(app).commands[verb]
