"""What the README and the messages say of flags is true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from hierarchical_reasoning.cli.main import main as group
from hierarchical_reasoning.cli.run import run

ROOT = Path(__file__).parents[1]
OTHER_PROGRAMS = {"scripted_server", "vllm_server", "vllm.py", "cli_looking.py", "cli_build.py", "looking"}
"""Folders and files that speak of flags of a program of their own."""
OTHER_FLAGS = {
    *("--always", "--dirty", "--cpu", "--fsdp_version", "--mixed_precision", "--nproc_per_node"),
    *("--enable", "--enforce", "--logits", "--logprobs", "--max", "--served"),
    *(
        "--array",
        "--chdir",
        "--clusters",
        "--dependency",
        "--format",
        "--job",
        "--noheader",
        "--open",
        "--parsable",
    ),
    *("--requeue", "--signal", "--slurm_"),
}
"""Of git, torchrun, accelerate launch, Slurm and, as far as their first dash, vLLM, which messages tell of;
and how flags begin."""
PACKAGES = ("llm_backends", "taxonomy", "hierarchical_reasoning")
README_COMMANDS = re.findall(
    r"^python hierarchical_reasoning\.py (.*?)(?:  +#.*)?$", (ROOT / "README.md").read_text(), re.M
)


def flags_of(command: click.Command) -> set[str]:
    if isinstance(command, click.Group):
        return set().union(*(flags_of(found) for found in command.commands.values()))
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def flags_of_all() -> set[str]:
    context = click.Context(group)
    commands = [group.get_command(context, name) for name in group.list_commands(context)]
    return {"--help"}.union(*(flags_of(command) for command in commands if command is not None))


@pytest.mark.parametrize("command", README_COMMANDS)
def test_commands_of_the_readme_parse(command: str) -> None:
    assert run.make_context("run", shlex.split(command)).params


def test_the_readme_has_commands() -> None:
    assert len(README_COMMANDS) >= 5


def test_every_flag_that_is_named_exists() -> None:
    known = flags_of_all()
    unknown = {
        f"{path.relative_to(ROOT)}: {flag}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9_]+", path.read_text())
        if flag not in known | OTHER_FLAGS and OTHER_PROGRAMS.isdisjoint(path.parts)
    }
    assert not unknown


def test_the_console_script_lists_its_commands() -> None:
    context = click.Context(group)
    assert all(group.get_command(context, name) is not None for name in group.list_commands(context))
