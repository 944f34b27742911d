"""LoRA adapters of a language model as what is meta-learned: cross-entropy on right answers.

Right answers are those that the model itself drew with its first weights and a verifier found right (expert iteration:
Anthony et al., 2017; Zelikman et al., 2022), or those that the problems come with. GRPO's objective is not taken here:
its gradient is that of rollouts by the very weights that are trained, so each inner step would have to draw anew, and
its second derivative would leave out how the rollouts change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.func import functional_call
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.model_settings import ModelSettings, write_model_settings
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.training.adapters import with_lora
from hierarchical_reasoning.training.meta.config import MetaConfig
from hierarchical_reasoning.training.meta.families import FamilyProblems
from hierarchical_reasoning.training.meta.learner import Parameters
from hierarchical_reasoning.training.meta.rollouts import Answer, Answers
from hierarchical_reasoning.training.meta.subject import Score, Subject, check_enough
from hierarchical_reasoning.training.objectives.precision import at_full_precision
from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from hierarchical_reasoning.training.packed.token_forest import NO_PLACE, lay_out
from hierarchical_reasoning.training.sharding.weights import plain_weights
from llm_backends.local import LocalBackend
from llm_backends.local.loading import LoadedModel


@dataclass(frozen=True)
class Example:
    """A problem, and right answers to it, as tokens."""

    prompt: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]


class Adapters(Subject):
    """A `Subject`."""

    def __init__(
        self,
        config: MetaConfig,
        problems: FamilyProblems,
        model: LoadedModel,
        acting: LocalBackend,
        answers: Answers,
        drawn: Mapping[str, Sequence[Answer]],
    ) -> None:
        """
        Args:
            model: adapters are put into it.
            acting: the same model, to draw answers.
            drawn: by problem; none where the problems come with answers.

        Raises:
            ConfigError: a family has too few right answers, or second derivatives cannot be taken on the device.
        """
        self._second_order = config.meta_algorithm == "maml" and not config.first_order
        if self._second_order and model.device.type != "cpu":
            raise ConfigError(
                f"--meta_algorithm maml on {model.device.type}: attention there has no second derivative; give "
                "--first_order, or --device cpu"
            )
        self._model, self._acting, self._answers = model, acting, answers
        self._test = problems.test
        self._packed = PackedModel(model.module)
        alpha = 2 * config.lora_r if config.lora_alpha is None else config.lora_alpha
        self._with_lora = with_lora(model.module, r=config.lora_r, alpha=alpha, seed=config.seed)
        self._own = {
            name: tensor for name, tensor in self._with_lora.named_parameters() if tensor.requires_grad
        }
        self._start = {name: tensor.detach().clone() for name, tensor in self._own.items()}
        self._ids: dict[str, list[str]] = {}
        self._examples: dict[str, Example] = {}
        for family, members in {**problems.train, problems.unseen: problems.support}.items():
            found = dict(self._right(members, drawn, config.learned_field))
            self._ids[family] = list(found)
            self._examples |= found
            check_enough(
                family,
                len(found),
                len(members),
                config.batch_size,
                unseen=family == problems.unseen,
                what="a right answer to learn from",
            )
        self._tested = dict(self._right(self._test, {}, config.learned_field))
        self._examples |= self._tested

    def start(self) -> Parameters:
        return dict(self._start)

    def problem_ids(self, family: str) -> Sequence[str]:
        return self._ids[family]

    def loss(self, parameters: Parameters, problem_ids: Sequence[str]) -> torch.Tensor:
        """-log p of a token, mean over all tokens of the batch's right answers."""
        parents: list[int] = []
        segments: list[tuple[int, ...]] = []
        for problem_id in problem_ids:
            example, root = self._examples[problem_id], len(segments)
            parents += [NO_PLACE, *[root] * len(example.answers)]
            segments += [example.prompt, *example.answers]
        forest, places = lay_out(parents, segments)
        taught_L = torch.tensor(
            [
                place
                for parent, own in zip(parents, places, strict=True)
                if parent != NO_PLACE
                for place in own
            ]
        )

        def call(**inputs: Any) -> Any:
            return functional_call(self._with_lora, dict(parameters), (), inputs)

        # What computes attention faster has no second derivative either.
        with sdpa_kernel(SDPBackend.MATH) if self._second_order else nullcontext():
            logits_LV = self._packed.logits(forest, forest.previous_T[taught_L], call)
        tokens_L = forest.tokens_T[taught_L].to(logits_LV.device)
        # `token_scores` has no second derivative.
        return functional.cross_entropy(at_full_precision(logits_LV), tokens_L)

    async def score(self, parameters: Parameters) -> Score:
        self._acting.refresh(self._merged(parameters))
        correct = await self._answers.n_correct(self._test)
        loss = None
        if self._tested:
            with torch.no_grad():
                losses = [float(self.loss(parameters, [problem_id])) for problem_id in self._tested]
            loss = sum(losses) / len(losses)
        return Score(correct, len(self._test), loss)

    async def save(self, folder: Path, parameters: Parameters) -> None:
        self._model.save(folder, dict(self._merged(parameters)))
        write_model_settings(folder, ModelSettings(num_icl_examples=0))

    def _merged(self, parameters: Parameters) -> Iterator[tuple[str, torch.Tensor]]:
        """The weights of the plain model with these adapters in it, which stay in the module until the next ones."""
        with torch.no_grad():
            for name, tensor in self._own.items():
                tensor.copy_(parameters[name])
            yield from plain_weights(self._with_lora)

    def _right(
        self, problems: Sequence[Problem], drawn: Mapping[str, Sequence[Answer]], solution_field: str | None
    ) -> Iterator[tuple[str, Example]]:
        """Those problems that have a right answer."""
        for problem in problems:
            if solution_field is not None:
                right = [tuple(self._model.chat.option_ids(problem.fields[solution_field]))]
            else:
                right = [answer.tokens for answer in drawn.get(problem.id, ()) if answer.is_correct]
            if right:
                example = Example(self._answers.prompt(problem), tuple(dict.fromkeys(right)))
                self._check_room(problem, example)
                yield problem.id, example

    def _check_room(self, problem: Problem, example: Example) -> None:
        context = self._model.context_length
        longest = len(example.prompt) + max(map(len, example.answers))
        if context is not None and longest > context:
            raise ConfigError(
                f"problem {problem.id!r} and its answer take {longest} tokens, and the model's context holds "
                f"{context}; take shorter ones or a model with a longer context (--model_id)"
            )


def by_problem(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """In their order."""
    found: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        found[answer.problem_id].append(answer)
    return dict(found)
