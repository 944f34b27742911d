"""Names and descriptions of a tree's nodes by a language model, from the leaves up.

For each node the model proposes several names, from the names of its children, the labels of its chunks and some of
these. Of the proposals, the one wins that is nearest to the mean of the node's chunks and farthest from the nearest
sibling's, in the space of an embedder that understands names and chunks alike. Names are distinct within a level: where
all proposals are taken the model is asked once more, and told which are. Given labels keep their names. A node that
gets no usable reply is named without the model, which a note says; where that holds for all nodes, it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from llm_backends import Backend, Message, Request, Sampling
from llm_backends.errors import UnparsedReplyError
from taxonomy.described_kinds import DescribedKind
from taxonomy.distinct_names import FINISH_THINKING
from taxonomy.naming.node_facts import NodeFacts
from taxonomy.naming.nodes import Names, NodeName, folded, is_part_of_label
from taxonomy.questions import all_answers, check_some_usable, how_to_ask_again, parsed_reply

Space = Callable[[Sequence[str]], NDArray[np.floating[Any]]]
"""From texts, names and chunks alike, to rows of unit length."""
CANDIDATES = 4
MAX_TOKENS = 512
_SHOWN = 8
_EXAMPLE_CHARACTERS = 600
PROMPT = """\
Steps of people's reasoning were sorted into kinds by what a step does. Find a name for one kind.

{evidence}

Propose {count} different names for what these steps have in common and other kinds of step do not. A name is a noun \
phrase of one to five words that says what the step does, not what the problem is about, such as "Result Check"; its \
description is one sentence of at most 25 words that begins with a verb and tells somebody how to take such a step.\
{taken}

Reply with JSON only: {{"candidates": [{{"label": "...", "description": "..."}}, ...]}}."""


class Candidates(BaseModel):
    """The reply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: tuple[DescribedKind, ...] = Field(min_length=1)


@dataclass(frozen=True)
class NamedByModel:
    """Names, and where they are not the model's."""

    names: Names
    notes: tuple[str, ...]


async def name_by_model(
    facts: Sequence[Sequence[NodeFacts]],
    without_model: Names,
    backend: Backend,
    space: Space,
    *,
    labels_are_pure: bool,
    undescribed: frozenset[str] = frozenset(),
    sampling: Sampling | None = None,
) -> NamedByModel:
    """
    Args:
        facts: by level, of each node.
        without_model: names for what keeps them, and for nodes that get no usable reply.
        backend: who proposes; it must support schemas. Its usage is accounted to the role "namer".
        space: in which proposals are compared with chunks.
        labels_are_pure: whether each sample has chunks of one label only.
        undescribed: given labels that came without a description: the model describes them.
        sampling: None is temperature 0 and at most MAX_TOKENS tokens a reply.

    Raises:
        BuildError: no node got a usable reply.
        BackendError: a node got no reply.
    """
    namer = _Namer(backend, space, sampling or Sampling(temperature=0.0, max_tokens=MAX_TOKENS))
    below: list[NodeName] = []
    named: list[list[NodeName]] = []
    for nodes, fallback in zip(reversed(facts), reversed(without_model), strict=True):
        level = _Level(nodes, fallback, below, labels_are_pure, undescribed)
        below = await namer.name_level(level)
        named.append(below)
    return NamedByModel(named[::-1], namer.final_notes())


class _Level:
    """What is settled about the names of one level, and what is to be asked."""

    def __init__(
        self,
        nodes: Sequence[NodeFacts],
        fallback: Sequence[NodeName],
        below: Sequence[NodeName],
        labels_are_pure: bool,
        undescribed: frozenset[str],
    ) -> None:
        self.nodes = nodes
        self.below = below
        self.fallback = fallback
        self.settled: dict[int, NodeName] = {}
        self.fixed_labels: dict[int, str] = {}
        """Nodes that keep their label and want a description."""
        totals: dict[str, int] = {}
        for node in nodes:
            for member in node.members:
                totals[member.label] = totals.get(member.label, 0) + member.size
        for node in nodes:
            name = fallback[node.cluster]
            whole_label = labels_are_pure and len(node.members) == 1 and not is_part_of_label(node, totals)
            if node.level > 0 and len(node.children) == 1:
                self.settled[node.cluster] = below[node.children[0]]
            elif whole_label and node.members[0].label in undescribed:
                self.fixed_labels[node.cluster] = name.label
            elif whole_label or node.level == 0:
                self.settled[node.cluster] = name
        self.asked = [node for node in nodes if node.cluster not in self.settled]

    def used(self) -> set[str]:
        labels = [name.label for name in self.settled.values()]
        return {folded(label) for label in [FINISH_THINKING, *labels, *self.fixed_labels.values()]}


class _Namer:
    def __init__(self, backend: Backend, space: Space, sampling: Sampling) -> None:
        self._backend = backend
        self._space = space
        self._sampling = sampling
        self._notes: list[str] = []
        self._asked = 0
        self._unusable: list[UnparsedReplyError] = []

    def final_notes(self) -> tuple[str, ...]:
        """Raises BuildError where there is nothing but failures to note."""
        check_some_usable(self._unusable, self._asked, "nodes to name", "--namer medoid")
        note = (
            f"{self._backend.model_name} gave no usable reply about {len(self._unusable)} of {self._asked} nodes, "
            f"which are named or described without it; {how_to_ask_again('name.json')}"
        )
        return (*self._notes, *((note,) if self._unusable else ()))

    async def name_level(self, level: _Level) -> list[NodeName]:
        replies = await all_answers(
            (self._ask(node, level, ()) for node in level.asked), at_once=self._backend.max_concurrency
        )
        self._asked += len(replies)
        self._unusable += [reply for reply in replies if isinstance(reply, UnparsedReplyError)]
        proposals = [[] if isinstance(reply, UnparsedReplyError) else reply for reply in replies]
        scores = self._scores(level, proposals)
        used = level.used()
        by_size = sorted(
            zip(level.asked, proposals, scores, strict=True), key=lambda f: (-f[0].size, f[0].cluster)
        )
        for node, candidates, score in by_size:
            fixed = level.fixed_labels.get(node.cluster)
            order = np.argsort(-np.round(score, 9), kind="stable").tolist()
            ranked = [candidates[place] for place in order]
            if fixed is not None:
                described = ranked[0].description if ranked else level.fallback[node.cluster].description
                level.settled[node.cluster] = NodeName(fixed, described)
                continue
            chosen = _first_free(ranked, used)
            if chosen is None and ranked:
                others = await self._ask(node, level, sorted(used))
                chosen = None if isinstance(others, UnparsedReplyError) else _first_free(others, used)
            if chosen is None:
                chosen = _first_free([level.fallback[node.cluster]], used) or _numbered(
                    level.fallback[node.cluster], used
                )
                self._notes.append(
                    f"{self._backend.model_name} found no name of its own for a node of level {node.level}, which is "
                    f"called {chosen.label!r} without it"
                )
            level.settled[node.cluster] = chosen
            used.add(folded(chosen.label))
        return [level.settled[node.cluster] for node in level.nodes]

    async def _ask(
        self, node: NodeFacts, level: _Level, taken: Sequence[str]
    ) -> list[NodeName] | UnparsedReplyError:
        """Proposals, or why no reply was usable."""
        already = f" These names are taken by other kinds: {', '.join(taken)}." if taken else ""
        content = PROMPT.format(evidence=_evidence(node, level), count=CANDIDATES, taken=already)
        request = Request((Message("user", content),), self._sampling, schema=Candidates, role="namer")
        reply = await parsed_reply(self._backend, request)
        if isinstance(reply, UnparsedReplyError):
            return reply
        candidates = cast("Candidates", reply).candidates
        return [NodeName(candidate.label, candidate.description) for candidate in candidates]

    def _scores(
        self, level: _Level, proposals: Sequence[Sequence[NodeName]]
    ) -> list[NDArray[np.floating[Any]]]:
        """Of each proposal: likeness to its node, less that to the most alike other node of the level."""
        texts = [text for node in level.nodes for text in _evidence_texts(node)]
        names = [f"{name.label}: {name.description}" for found in proposals for name in found]
        if not names:
            return [np.zeros(0)] * len(proposals)
        vectors = self._space([*texts, *names])
        means: list[NDArray[np.floating[Any]]] = []
        start = 0
        for node in level.nodes:
            own = len(_evidence_texts(node))
            mean = vectors[start : start + own].mean(axis=0)
            means.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
            start += own
        likeness = vectors[start:] @ np.stack(means).T
        scores = []
        done = 0
        for node, found in zip(level.asked, proposals, strict=True):
            rows = likeness[done : done + len(found)]
            done += len(found)
            own_column = rows[:, node.cluster]
            others = np.delete(rows, node.cluster, axis=1)
            scores.append(own_column - (others.max(axis=1) if others.shape[1] else 0.0))
        return scores


def _evidence_texts(node: NodeFacts) -> list[str]:
    labels = [f"{m.label}: {m.description}" if m.description else m.label for m in node.members[:_SHOWN]]
    return [*node.examples, *labels] or [" "]


def _evidence(node: NodeFacts, level: _Level) -> str:
    parts = []
    if len(node.children) > 1:
        children = [level.below[child] for child in node.children]
        listed = "\n".join(f'- "{child.label}": {child.description}' for child in children)
        parts.append(f"It is made of these kinds:\n{listed}")
    if node.members:
        listed = "\n".join(
            f'- "{member.label}" ({member.size} steps)'
            + (f": {member.description}" if member.description else "")
            for member in node.members[:_SHOWN]
        )
        parts.append(f"Its steps were labeled:\n{listed}")
    excerpts = "\n".join(
        f"<step number={number}>\n{text[:_EXAMPLE_CHARACTERS]}\n</step>"
        for number, text in enumerate(node.examples[:_SHOWN], start=1)
    )
    parts.append(f"Some of its {node.size} steps:\n{excerpts}")
    return "\n\n".join(parts)


def _first_free(names: Sequence[NodeName], used: set[str]) -> NodeName | None:
    return next((name for name in names if folded(name.label) not in used), None)


def _numbered(name: NodeName, used: set[str]) -> NodeName:
    number = 2
    while folded(f"{name.label} ({number})") in used:
        number += 1
    return NodeName(f"{name.label} ({number})", name.description)
