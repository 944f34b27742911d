"""Where others branch off a finished stream of a tree."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from hierarchical_reasoning.training.explorers.base import TokenTexts
from hierarchical_reasoning.training.explorers.limbs import Branch, Fork
from hierarchical_reasoning.training.explorers.origin import Origin
from hierarchical_reasoning.training.explorers.settings import EntropyTreeSettings
from hierarchical_reasoning.training.explorers.split_rules import alternative, coverage_cut, is_split
from llm_backends.token_streams import TokenStream


class ForkFinder:
    """Applies the rules to a stream from its first token to its last."""

    def __init__(self, settings: EntropyTreeSettings, texts: TokenTexts, temperature: float) -> None:
        """
        :param temperature: at which alternatives are drawn.
        """
        self._settings = settings
        self._texts = texts
        self._temperature = temperature
        self._ends_in_delimiter = lru_cache(maxsize=None)(
            lambda token: texts.token_text(token).endswith(settings.delimiters)
        )

    def forks(self, origin: Origin, branch: Branch, stream: TokenStream, room: int) -> tuple[Fork, ...]:
        """In order; a coverage fork is the last.

        :param room: tokens that an answer may have.
        """
        if branch.kind == "coverage":
            return ()
        tokens, forced = branch.forced + stream.tokens, len(branch.forced)
        start, depth = 0, branch.depth
        found: list[Fork] = []
        for at in range(forced, len(tokens)):
            top = stream.top[at - forced]
            is_root = branch.parent is None and at == 0
            if not is_root and not is_split(
                tokens,
                at,
                start=start,
                depth=depth,
                top=top,
                settings=self._settings,
                ends_in_delimiter=self._ends_in_delimiter,
            ):
                continue
            fork = self._alternative(
                origin, branch, tokens[:at], top, tokens[at], depth if is_root else depth + 1
            )
            if fork is not None and len(branch.before) + at + 2 <= room:  # it needs a token to go on with
                found.append(fork)
                start, depth = at, fork.others[0].depth
        cut = coverage_cut(tokens[start:], self._settings, self._texts.text, self._ends_in_delimiter)
        if cut is not None:
            found.append(self._coverage(branch, tokens[: start + cut], depth + 1))
        return tuple(found)

    def _alternative(
        self,
        origin: Origin,
        branch: Branch,
        head: tuple[int, ...],
        top: Sequence[tuple[int, float]],
        drawn: int,
        depth: int,
    ) -> Fork | None:
        before = branch.before + head
        place = f"{branch.place}/a{len(before)}"
        top = top[: self._settings.entropy_topk]
        other = alternative(top, drawn, self._temperature, origin.uniform(place))
        if other is None:
            return None
        return Fork(len(head), (Branch(place, "alternative", before, (other,), depth, branch.place),), True)

    def _coverage(self, branch: Branch, head: tuple[int, ...], depth: int) -> Fork:
        before = branch.before + head
        others = tuple(
            Branch(f"{branch.place}/c{len(before)}.{number}", "coverage", before, (), depth, branch.place)
            for number in range(self._settings.coverage_children_max)
        )
        return Fork(len(head), others, keeps_tail=False)
