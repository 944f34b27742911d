"""Prompts: Jinja templates, one folder per style, and the messages made of them.

``chat``  one conversation that only grows: the problem and the options once, then choice, thought, choice,
          thought. Every call extends the last one, so any server's prefix cache serves all but the new turns.
``single`` one self-contained message a call, with the thoughts so far written out.

Joint calls ask for a thought type and its thought in one JSON reply. Their examples, of all types since the type is
not known yet, come before everything else: problems that show the same ones share them as a prefix.

A folder given by ``--prompts_dir`` overrides templates by name; what it lacks comes from the package. Templates
name no domain: ``domain`` is the problem's category, where it has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import jinja2

from hierarchical_reasoning.errors import PromptError
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.trace import FINISH, Step, Trace
from llm_backends import Message
from taxonomy.model import ThoughtType

PromptStyle = Literal["chat", "single"]
PROMPT_STYLES: tuple[PromptStyle, ...] = get_args(PromptStyle)
TEMPLATES: dict[PromptStyle, tuple[str, ...]] = {
    "chat": ("problem", "choose", "think", "joint_problem", "joint", "answer", "vanilla"),
    "single": ("choose", "think", "joint", "answer", "vanilla"),
}
LabeledExample: TypeAlias = tuple[str, str]
"""A thought type's name, and an example of it."""


@dataclass(frozen=True)
class Prompts:
    """The messages of every kind of call, in one style.

    Raises:
        PromptError: when a template is missing, broken, or uses a variable that does not exist.
    """

    style: PromptStyle = "chat"
    answer_form: str = ""
    """What the final answer should be, as in "a number"; empty for no hint."""
    directory: Path | None = None
    """A folder of templates (``choose.j2``, ...) that override the shipped ones."""

    @property
    def sha256(self) -> str:
        """Of the templates' texts, whichever folder they come from."""
        environment = self._environment
        assert environment.loader is not None
        texts = []
        for name in TEMPLATES[self.style]:
            try:
                texts.append(environment.loader.get_source(environment, f"{name}.j2")[0])
            except (OSError, jinja2.TemplateError, ValueError) as error:
                raise PromptError(f"template {name}.j2 in {self._where} cannot be read: {error}") from error
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()

    def check(self, problem: Problem, option: ThoughtType) -> None:
        """Render every template of a trace, so that a broken one is found before a model is asked."""
        examples = ("an example",)
        for steps in ((), (Step(option, "a thought", examples),)):
            trace = Trace(problem, (option,), steps)
            self.choose(trace)
            self.think(trace, option, examples)
            self.answer(trace)
            self.joint(trace, ["a reply"] * len(steps), [(option.name, "an example")])

    def vanilla(self, problem: Problem) -> tuple[Message, ...]:
        """One call that solves the whole problem."""
        return (Message("user", self._render("vanilla", problem)),)

    def choose(self, trace: Trace) -> tuple[Message, ...]:
        """Ask for the next thought type."""
        if self.style == "single":
            return (Message("user", self._render("choose", trace.problem, trace)),)
        return self._conversation(trace)

    def think(self, trace: Trace, option: ThoughtType, examples: Sequence[str] = ()) -> tuple[Message, ...]:
        """Ask for one thought of a type."""
        if self.style == "single":
            content = self._render("think", trace.problem, trace, option=option, examples=examples)
            return (Message("user", content),)
        return (*self._conversation(trace), *self._think_turns(trace, option, examples))

    def answer(self, trace: Trace) -> tuple[Message, ...]:
        """Ask for the final answer, once thinking is finished."""
        content = self._render("answer", trace.problem, trace)
        if self.style == "single":
            return (Message("user", content),)
        return (*self._conversation(trace), Message("assistant", FINISH), Message("user", content))

    def joint(
        self, trace: Trace, replies: Sequence[str], examples: Sequence[LabeledExample] = ()
    ) -> tuple[Message, ...]:
        """Ask for the next thought type and its thought in one reply.

        Args:
            trace: so far.
            replies: those that the steps were read from, as they came, one a step. A chat repeats them to the letter,
                so that a server finds the tokens it wrote in its cache; the single style does without.
            examples: shown in this order.
        """
        if self.style == "single":
            content = self._render("joint", trace.problem, trace, labeled_examples=examples)
            return (Message("user", content),)
        so_far = Trace(trace.problem, trace.options)
        content = self._render("joint_problem", trace.problem, so_far, labeled_examples=examples)
        messages = [Message("user", content)]
        for step, reply in zip(trace.steps, replies, strict=True):
            so_far = so_far.extended(step)
            messages.append(Message("assistant", reply))
            messages.append(Message("user", self._render("joint", trace.problem, so_far)))
        return tuple(messages)

    def joint_answer(
        self, trace: Trace, replies: Sequence[str], examples: Sequence[LabeledExample] = ()
    ) -> tuple[Message, ...]:
        """Ask for the final answer after joint calls.

        Args:
            trace: its last step may be what was thought on finishing.
            replies: the last one is the one that finished thinking.
            examples: those shown before.
        """
        if self.style == "single":
            return self.answer(trace)
        *earlier, last = replies
        asked = self.joint(replace(trace, steps=trace.steps[: len(earlier)]), earlier, examples)
        content = self._render("answer", trace.problem, trace)
        return (*asked, Message("assistant", last), Message("user", content))

    def _conversation(self, trace: Trace) -> tuple[Message, ...]:
        """The chat up to and including the question for the next thought type."""
        so_far = Trace(trace.problem, trace.options)
        messages = [Message("user", self._render("problem", trace.problem, so_far))]
        for step in trace.steps:
            messages.extend(self._think_turns(so_far, step.thought_type, step.examples))
            messages.append(Message("assistant", step.thought))
            so_far = so_far.extended(step)
            messages.append(Message("user", self._render("choose", trace.problem, so_far)))
        return tuple(messages)

    def _think_turns(
        self, trace: Trace, option: ThoughtType, examples: Sequence[str]
    ) -> tuple[Message, Message]:
        content = self._render("think", trace.problem, trace, option=option, examples=examples)
        return Message("assistant", option.name), Message("user", content)

    def _render(self, name: str, problem: Problem, trace: Trace | None = None, **variables: object) -> str:
        context = {
            "problem": problem.text,
            "domain": problem.category.replace("_", " ") if problem.category else "",
            "answer_form": self.answer_form,
            "finish": FINISH,
            "options": trace.options if trace else (),
            "steps": trace.steps if trace else (),
        }
        environment = self._environment
        try:
            return environment.get_template(f"{name}.j2").render(context | variables).strip()
        except (OSError, jinja2.TemplateError, ArithmeticError, TypeError, ValueError) as error:
            usable = sorted({*context, "option", "examples", "labeled_examples"})
            raise PromptError(
                f"template {name}.j2 in {self._where} cannot be used: {error}; it may use {', '.join(usable)}"
            ) from error

    @property
    def _where(self) -> str:
        """Where templates come from, for messages."""
        if self.directory is None:
            return f"the shipped {self.style} templates"
        return f"{self.directory} (--prompts_dir)"

    @cached_property
    def _environment(self) -> jinja2.Environment:
        folders = [str(Path(__file__).parent / self.style)]
        if self.directory is not None:
            if not self.directory.is_dir():
                raise PromptError(f"no folder of prompts at {self.directory} (--prompts_dir)")
            known = {f"{name}.j2" for name in TEMPLATES[self.style]}
            found = {path.name for path in self.directory.glob("*.j2")}
            strange = ", ".join(sorted(found - known))
            if strange or not found:
                what = (
                    f"{strange}, no template of the {self.style} style" if strange else "no template (*.j2)"
                )
                raise PromptError(
                    f"{self.directory} (--prompts_dir) holds {what}; those of the {self.style} style are "
                    f"{', '.join(sorted(known))}"
                )
            folders.insert(0, str(self.directory))
        return jinja2.Environment(
            loader=jinja2.FileSystemLoader(folders),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # noqa: S701 - plain text for a language model; pages escape what they show
        )
