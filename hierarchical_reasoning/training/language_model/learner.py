"""A language model as what is trained: it grows trees of answers, and the loss is on the tokens it drew."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from hierarchical_reasoning.model_settings import ModelSettings, write_model_settings
from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.records import NOTHING_SPENT
from hierarchical_reasoning.rewards import HeuristicLocalReward, RewardWeights, back_up, score_local
from hierarchical_reasoning.together import all_or_none
from hierarchical_reasoning.training.credit import (
    Credit,
    CreditRule,
    HierarchicalCredit,
    descendant_mean_credit,
    outcome_credit,
)
from hierarchical_reasoning.training.episode import Episode
from hierarchical_reasoning.training.episodes import FOLDER
from hierarchical_reasoning.training.estimators import Estimator, centred, scaled, token_level
from hierarchical_reasoning.training.explorers import Growth
from hierarchical_reasoning.training.language_model.acting import OnServer, acting_model
from hierarchical_reasoning.training.language_model.explorer import Explorers
from hierarchical_reasoning.training.language_model.learned_values import LearnedValues, Pair, places_of
from hierarchical_reasoning.training.language_model.lessons import (
    LessonPass,
    TokenLossSettings,
    TreeLesson,
    divide,
    idle_loss,
    kl_of_leaves,
    pass_loss,
    scores_of,
    tree_lesson,
)
from hierarchical_reasoning.training.language_model.parts import LanguageModelParts
from hierarchical_reasoning.training.language_model.rollouts import GradedTree
from hierarchical_reasoning.training.language_model.thought_judge import ThoughtJudge
from hierarchical_reasoning.training.language_model.tree_figures import TreeFigures
from hierarchical_reasoning.training.learner import Experience, Gather, Look
from hierarchical_reasoning.training.loading import Weights
from hierarchical_reasoning.training.log import EvaluationRecord, Mode
from hierarchical_reasoning.training.objectives import EntropyStats, entropy_stats
from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from hierarchical_reasoning.training.schedule import (
    Batches,
    count_updates,
    draw_seed,
    exploration_temperature,
)
from hierarchical_reasoning.training.sums import Sums
from hierarchical_reasoning.training.update_record import Gathered
from hierarchical_reasoning.trees import Node, ReasoningTree
from hierarchical_reasoning.trees.leaf_means import leaf_means
from hierarchical_reasoning.trees.metrics import estimates_and_rewards
from hierarchical_reasoning.trees.statistics import TreeStatistics, added, tree_statistics
from hierarchical_reasoning.trees.writing import write_trees
from llm_backends.local.loading import LoadedModel, load_model

_ESTIMATORS: dict[str, Callable[[bool], Estimator]] = {
    "centred": lambda norm_by_std: centred,
    "scaled": lambda norm_by_std: scaled,
    "hapo": lambda norm_by_std: partial(token_level, norm_by_std=norm_by_std),
}
_CREDITS: dict[str, Callable[[RewardWeights], CreditRule]] = {
    "outcome": lambda weights: outcome_credit,
    "descendant_mean": lambda weights: descendant_mean_credit,
    "hierarchical": HierarchicalCredit,
}


@dataclass(frozen=True)
class _RolledOut:
    """A tree of an update."""

    graded: GradedTree
    credit: Credit
    is_learned: bool

    def advantages(self) -> list[float | None]:
        """Of its answers; None where one teaches nothing."""
        by_node = dict(zip(self.credit.node_N, self.credit.advantage_N.tolist(), strict=True))
        left_out = bool(self.credit.advantage_N.any()) and not self.is_learned
        return [
            None if left_out or episode.reward is None else by_node[leaf]
            for leaf, episode in zip(self.graded.tree.leaves(), self.graded.episodes, strict=True)
        ]


class LanguageModelLearner:
    """The `Learner` of a run that trains a language model."""

    def __init__(
        self,
        parts: LanguageModelParts,
        weights: Weights,
        *,
        share: tuple[int, int] = (0, 1),
        on_server: OnServer = lambda progress: None,
        judge: ThoughtJudge | None = None,
    ) -> None:
        """
        Args:
            weights: where they are loaded from, and to.
            share: which of how many processes this is.
            on_server: is told of a vLLM server that is started to act.
            judge: rates thoughts, where the local reward is ``judge``; the caller closes it.

        Raises:
            BackendError: the model cannot be loaded, or cannot be trained on trees.
            ConfigError: its context has no room for an answer to one of the problems.
        """
        self._parts = parts
        self._config = config = parts.config
        self._share = share
        self._model: LoadedModel = load_model(
            weights.trained, dtype=weights.dtype, device=weights.device, flag=weights.trained_flag
        )
        self._packed = PackedModel(self._model.module)
        prompt = self._model.chat.prompt_ids(parts.prompts.vanilla(parts.problems[0]))
        self._acting = acting_model(config, weights, self._model, self._packed, prompt, on_server)
        problems = (*parts.problems, *parts.held_out)
        self._values = LearnedValues(config.uncertainty, seed=config.seed, problems=problems)
        self._begun_from = Path(weights.acting)
        self._judge = judge
        self._explorers = Explorers(parts, self._acting, self._model.chat, self._values, judge)
        self._explorers.check_room(self._model.context_length)
        self._settings = TokenLossSettings(
            temperature=config.first_temperature,
            clip_ratio_low=config.clip_ratio_low,
            clip_ratio_high=config.clip_ratio_high,
            clip_ratio_c=config.clip_ratio_c,
            kl_coeff=0.0 if config.kl_in_reward else config.kl_coeff,
            adv_beta=config.adv_beta if config.adaptive_advantage else None,
            clip_alpha=config.clip_alpha if config.adaptive_clip else None,
        )
        self._start: PackedModel | None = None
        self._rolled_out: tuple[_RolledOut, ...] = ()
        self._stats: EntropyStats | None = None
        self._noted: list[str] = []
        self._said: set[str] = set()
        self._figures = TreeFigures(config, self._trees_file, parts.verifier.ballot)
        self._updates = 0

    @property
    def module(self) -> Any:
        return self._model.module

    @property
    def tokenizer(self) -> Any:
        return self._model.tokenizer

    @property
    def modes(self) -> tuple[Mode, ...]:
        return ("greedy", "sampled")

    @property
    def looks(self) -> tuple[Look, ...]:
        config = self._config
        acts = config.needs_entropy or config.num_iterations > 1 or config.kl_in_reward
        acting: tuple[Look, ...] = ("acting",) if acts else ()
        start: tuple[Look, ...] = ("start",) if config.kl_coeff else ()
        return acting + start

    def refresh(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        self._acting.refresh(weights)

    async def gather(
        self, update: int, problems: Sequence[Problem], everyones: Sequence[Problem]
    ) -> Experience:
        started = time.perf_counter()
        config = self._config
        await self._acting.ready()
        await self._values.ready()
        temperature = exploration_temperature(
            config.first_temperature,
            config.temperature_decay,
            update,
            count_updates(config, len(self._parts.problems)),
        )
        self._settings = replace(self._settings, temperature=temperature)
        rollouts = self._explorers.training(self._stats, temperature)
        trees: list[GradedTree] = []
        credit: list[Credit] = []
        teaching: list[bool] = []
        batches = Batches(config, self._parts.problems, update, problems, everyones, self._share)
        while batches.due:
            due = batches.due
            batch = await rollouts.collect(due, seed=draw_seed(config.seed, update), update=update)
            if config.credit == "hierarchical":
                await all_or_none([self._score(*each) for each in zip(due, batch, strict=True)])
            found = [self._credit(graded, graded.tree.rewards()) for graded in batch]
            trees += batch
            credit += found
            teaching = list(map(self._teaches, trees, credit))
            batches.made_one(missing=max(0, batches.wanted - sum(teaching)))
        self._noted += rollouts.notes
        self._updates = update
        write_trees(self._trees_file(update), [graded.tree for graded in trees])
        learned = [one and n <= batches.wanted for one, n in zip(teaching, accumulate(teaching), strict=True)]
        lessons = [
            self._lesson(graded, own)
            for graded, own, taken in zip(trees, credit, learned, strict=True)
            if taken
        ]
        gathered = self._gathered(trees, credit, teaching, batches, time.perf_counter() - started)
        self._rolled_out = tuple(map(_RolledOut, trees, credit, learned))
        return self._experience(lessons, gathered)

    async def reflect(self, gathered: Sequence[Gathered]) -> None:
        pairs = [pair for each in gathered for pair in each.places]
        await self._values.learn([place for place, _ in pairs], [reward for _, reward in pairs])

    async def attempt(self, problems: Sequence[Problem], mode: Mode) -> tuple[Episode, ...]:
        await self._acting.ready()
        rollouts = self._explorers.measuring(mode)
        trees = await rollouts.collect(problems, seed=draw_seed(self._config.seed, 0), update=0)
        self._noted += rollouts.notes
        return tuple(episode for graded in trees for episode in graded.episodes)

    def evaluated(
        self, update: int, mode: Mode, episodes: Sequence[Episode], seconds: float
    ) -> EvaluationRecord:
        characters = sum(episode.characters for episode in episodes)
        return EvaluationRecord(
            update=update,
            mode=mode,
            correct=sum(episode.outcome is Outcome.CORRECT for episode in episodes),
            n=len(episodes),
            errors=sum(episode.error is not None for episode in episodes),
            steps=characters / len(episodes),
            transitions={},
            seconds=round(seconds, 2),
        )

    def passes(self, lessons: Sequence[TreeLesson], tokens_per_pass: int) -> list[LessonPass]:
        return divide(lessons, tokens_per_pass)

    def look(
        self,
        look: Look,
        lessons: Sequence[TreeLesson],
        passes: int,
        tokens_per_pass: int,
        model: Any | None,
    ) -> tuple[TreeLesson, ...]:
        packed = self._packed if model is not None or self._start is None else self._start
        found = scores_of(packed, lessons, self._settings.temperature, tokens_per_pass, model)
        with torch.no_grad():
            for _ in range(passes - len(self.passes(lessons, tokens_per_pass))):
                idle_loss(packed, model)
        looked_at = zip(lessons, found, strict=True)
        if look == "start":
            return tuple(replace(lesson, reference_log_probs_T=known) for lesson, (known, _) in looked_at)
        return tuple(
            replace(lesson, old_log_probs_T=known, entropy_T=entropy)
            for lesson, (known, entropy) in looked_at
        )

    def load_start(self) -> None:
        start = load_model(
            self._config.trained_path, dtype="float32", device=str(self._packed.device), flag="--model_id"
        )
        start.module.requires_grad_(False)
        self._start = PackedModel(start.module)

    def settled(self, experience: Experience, gather: Gather) -> Experience:
        lessons: tuple[TreeLesson, ...] = experience.lessons
        gathered = experience.gathered
        if self._config.kl_in_reward:
            kl = [kl_of_leaves(lesson) for lesson in lessons]
            lessons = self._held_to_start(lessons, kl)
            of_answers = {"kl_of_answers": math.fsum(value for each in kl for value in each.values())}
            gathered = replace(gathered, trees={**gathered.trees, **of_answers})
        if self._config.needs_entropy:
            lessons = self._with_entropies(lessons, gather)
        return self._experience(lessons, gathered)

    def _held_to_start(
        self, lessons: Sequence[TreeLesson], kl: Sequence[Mapping[int, float]]
    ) -> tuple[TreeLesson, ...]:
        """With the credit of rewards that have the KL to the model at the start taken off them.

        Args:
            kl: of each lesson's leaves.
        """
        looked_at = iter(zip(lessons, kl, strict=True))
        found = []
        everything = []
        for each in self._rolled_out:
            if each.is_learned:
                lesson, kl_of = next(looked_at)
                rewards = {
                    leaf: None if reward is None else reward - self._config.kl_coeff * kl_of[leaf]
                    for leaf, reward in each.graded.tree.rewards().items()
                }
                each = replace(each, credit=self._credit(each.graded, rewards))
                found.append(
                    replace(
                        self._lesson(each.graded, each.credit),
                        old_log_probs_T=lesson.old_log_probs_T,
                        entropy_T=lesson.entropy_T,
                        reference_log_probs_T=lesson.reference_log_probs_T,
                    )
                )
            everything.append(each)
        self._rolled_out = tuple(everything)
        return tuple(found)

    def _with_entropies(self, lessons: tuple[TreeLesson, ...], gather: Gather) -> tuple[TreeLesson, ...]:
        """With the statistics of the entropies of all processes' lessons, where the loss reads them."""
        own = [lesson.entropy_T[lesson.weight_T > 0] for lesson in lessons if lesson.entropy_T is not None]
        entropies = torch.cat(gather([torch.cat([*own, torch.empty(0, dtype=torch.float64)])]))
        if len(entropies):
            self._stats = entropy_stats(
                entropies, torch.ones_like(entropies, dtype=torch.bool), self._config.entropy_pivot
            )
        if not (self._config.adaptive_advantage or self._config.adaptive_clip):
            return lessons
        return tuple(replace(lesson, stats=self._stats) for lesson in lessons)

    def count(self, lessons: Sequence[TreeLesson]) -> float:
        return sum(lesson.count for lesson in lessons)

    def pass_loss(self, part: LessonPass, model: Any) -> tuple[torch.Tensor, Sums]:
        return pass_loss(self._packed, part, self._settings, model)

    def idle_loss(self, model: Any) -> torch.Tensor:
        return idle_loss(self._packed, model)

    def take_notes(self) -> tuple[str, ...]:
        of_judge = () if self._judge is None else self._judge.notes
        everything = dict.fromkeys((*self._acting.notes, *of_judge, *self._noted))
        new = tuple(note for note in everything if note not in self._said)
        self._said.update(new)
        self._noted.clear()
        return new

    def memory(self) -> Mapping[str, Any]:
        entropy = {} if self._stats is None else {"entropy": asdict(self._stats)}
        values = {"values": self._values.memory()} if self._config.explorer == "search_tree" else {}
        return {"updates": self._updates} | entropy | values

    def remember(self, memory: Mapping[str, Any]) -> None:
        self._stats = EntropyStats(**memory["entropy"]) if "entropy" in memory else None
        self._updates = memory.get("updates", 0)
        if "values" in memory:
            self._values.remember(memory["values"], self._begun_from)
        self._figures.take_up(self._updates)

    def save(self, folder: Path, weights: Mapping[str, torch.Tensor]) -> None:
        self._model.save(folder, weights)
        write_model_settings(folder, ModelSettings(num_icl_examples=self._config.n_examples))
        self._values.save(folder)

    async def aclose(self) -> None:
        await self._acting.aclose()
        await self._parts.verifier.aclose()

    def _credit(self, graded: GradedTree, rewards: Mapping[int, float | None]) -> Credit:
        config = self._config
        estimator = _ESTIMATORS[config.adv_estimator](config.norm_adv_by_std_in_grpo)
        return _CREDITS[config.credit](config.reward_weights)(graded.tree, rewards, estimator)

    def _lesson(self, graded: GradedTree, credit: Credit) -> TreeLesson:
        return tree_lesson(graded.tree, credit, self._config.loss_agg_mode, self._config.longest_sequence)

    def _experience(self, lessons: Sequence[TreeLesson], gathered: Gathered) -> Experience:
        return Experience(
            episodes=tuple(episode for each in self._rolled_out for episode in each.graded.episodes),
            advantages=tuple(advantage for each in self._rolled_out for advantage in each.advantages()),
            lessons=tuple(lessons),
            gathered=gathered,
        )

    async def _score(self, problem: Problem, graded: GradedTree) -> None:
        """Put the rewards that the credit weighs into the tree, for the credit and for whoever looks at the tree."""

        def drawn(node: Node) -> str:
            return self._model.chat.text(node.tokens[node.given :])

        tree = graded.tree
        if self._config.local_reward == "heuristic":
            await score_local(tree, problem, HeuristicLocalReward(), drawn)
        elif self._config.explorer != "search_tree":  # whose searches have scored their trees so already
            assert self._judge is not None, "what rates thoughts was named"
            await score_local(tree, problem, self._judge, drawn)
        back_up(tree, tree.rewards(), self._config.reward_weights)

    def _teaches(self, graded: GradedTree, credit: Credit) -> bool:
        """Whether the group of a problem has the spread that it needs to be learned from."""
        if self._config.kl_in_reward and not self._config.filter_groups:
            # The KL, which is not known yet, tells apart what has earned the same.
            return any(len(group) > 1 for group in credit.grouped_rewards())
        if not credit.advantage_N.any():
            return False
        if not self._config.filter_groups or self._config.filter_groups_metric == "rewards":
            return True
        return len({episode.reward for episode in graded.episodes} - {None}) > 1

    def _trees_file(self, update: int) -> Path:
        """Beside the episodes."""
        index, count = self._share
        suffix = "" if count == 1 else f"-rank{index}"
        return self._config.output_dir / FOLDER / f"update-{update:05d}-trees{suffix}.jsonl"

    def _gathered(
        self,
        trees: Sequence[GradedTree],
        credit: Sequence[Credit],
        teaching: Sequence[bool],
        batches: Batches,
        seconds: float,
    ) -> Gathered:
        episodes = [episode for graded in trees for episode in graded.episodes]
        has_reward = [episode for episode in episodes if episode.reward is not None]
        statistics = added(
            tree_statistics(graded.tree, own.grouped_rewards())
            for graded, own in zip(trees, credit, strict=True)
        )
        growth = sum((graded.growth for graded in trees), Growth(0, 0))
        surprises = [_surprise(graded.tree) for graded in trees]
        return Gathered(
            episodes=len(episodes),
            errors=len(episodes) - len(has_reward),
            reward=sum(episode.reward or 0.0 for episode in has_reward),
            correct=sum(episode.outcome is Outcome.CORRECT for episode in has_reward),
            acts=sum(tokens for tokens, _ in surprises),
            entropy=sum(surprise for _, surprise in surprises),
            thought_types={},
            groups=len(trees),
            groups_without_spread=len(trees) - sum(teaching),
            generation_batches=batches.made,
            usage=NOTHING_SPENT if self._judge is None else self._judge.take_usage(),
            seconds=seconds,
            temperature=self._settings.temperature,
            trees=_summed(statistics)
            | {
                "generated_tokens": float(growth.generated_tokens),
                "left_over": float(max(0, sum(teaching) - batches.wanted)),
            },
            metrics=self._figures.of([graded.tree for graded in trees]),
            places=self._places(trees),
            foretold=[pair for graded in trees for pair in estimates_and_rewards(graded.tree)],
        )

    def _places(self, trees: Sequence[GradedTree]) -> tuple[Pair, ...]:
        if self._config.explorer != "search_tree":
            return ()
        problems = {problem.id: problem for problem in self._parts.problems}
        return places_of([graded.tree for graded in trees], problems)


def _summed(statistics: TreeStatistics) -> dict[str, float]:
    """What adds up over processes."""
    return {name: float(value) for name, value in asdict(statistics).items() if name != "max_depth"}


def _surprise(tree: ReasoningTree) -> tuple[int, float]:
    """Drawn tokens of all answers that were graded, and -log p of them at temperature 1, answer by answer."""
    answers = leaf_means(tree, tree.rewards())
    return (
        sum(answers[node.id].count * node.drawn for node in tree.nodes.values()),
        -sum(answers[node.id].count * sum(node.log_probs) for node in tree.nodes.values()),
    )
