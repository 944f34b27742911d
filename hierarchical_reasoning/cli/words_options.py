"""A click command with options that take several words: ``--families A B`` is ``--families A --families B``."""

from __future__ import annotations

from typing import Any

import click

from hierarchical_reasoning.cli.grouped import ReasoningCommand


class WordsCommand(ReasoningCommand):
    """Its options that may be given several times may have all their values behind one name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        repeated = {
            name.lstrip("-")
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and parameter.multiple
            for name in parameter.opts
        }
        return super().parse_args(ctx, _spread(args, repeated))


def _spread(arguments: list[str], repeated: set[str]) -> list[str]:
    """The arguments with the name of an option put before each further value of it."""
    found: list[Any] = []
    name, n_values = "", 0
    for argument in arguments:
        if argument.startswith("-") and not argument.lstrip("-")[:1].isdigit():
            name, n_values = argument, 0
            given_inside = "=" in argument
            if given_inside or argument.replace("-", "_").lstrip("_") not in repeated:
                name = ""
            found.append(argument)
            continue
        if name and n_values:
            found.append(name)
        n_values += 1
        found.append(argument)
    return found
