"""A click command whose options are listed under headings, and take dashes for underscores."""

from __future__ import annotations

from typing import Any

import click


class GroupedOption(click.Option):
    """An option with the heading it is listed under."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class GroupedCommand(click.Command):
    """Lists its options group by group, in the order in which groups first occur."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(getattr(parameter, "group", "Other"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


class ReasoningCommand(GroupedCommand):
    """A command of the main jobs: a format of answers may be given as several words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, joined_words(args, "--ground_truth_format"))


COMMAND_CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda token: token.replace("-", "_"),
    "max_content_width": 110,
}
"""What a command is made with: `-h`, dashes for underscores in flags, and help as wide as its tables."""


def joined_words(arguments: list[str], option: str) -> list[str]:
    """The arguments with the words that follow ``option`` made into one value, where together they name a format.

    ``--ground_truth_format chess coordinate notation`` is written so, without quotes, in users' scripts.
    """
    for i, argument in enumerate(arguments):
        name, given, first = argument.partition("=")
        if name.replace("-", "_").lstrip("_") != option.lstrip("-"):
            continue
        end = i + 1
        while end < len(arguments) and not arguments[end].startswith("-"):
            end += 1
        words = [*([first] if given else []), *arguments[i + 1 : end]]
        n = _name_length(words)
        return [*arguments[:i], name, *([" ".join(words[:n])] if words else []), *words[n:], *arguments[end:]]
    return arguments


def _name_length(words: list[str]) -> int:
    """How many of the words, from the first, name a format: as many as may be; 1 where they name none."""
    if len(words) < 2:
        return 1
    from hierarchical_reasoning.verifiers.registry import format_names

    names = format_names()
    return next(
        (n for n in range(len(words), 1, -1) if " ".join(words[:n]).lower().replace("_", " ") in names), 1
    )
