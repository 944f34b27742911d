"""Thought types of chunks by a language model, which reads each chunk beside the names and descriptions of a level.

The model chooses at the deepest level, and the levels above are read off the tree. That is one call a chunk, whatever
the number of levels, and what it says is nested by construction; level by level from the top it would be a call for
each level, and a wrong turn at the top could not be mended below. Chunks with the same text are asked about once.

Within the thought type that was chosen a chunk goes to the nearest sample (centroid, or given label), so that the
tables of clusters and of chunks agree.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_backends import Backend, Message, Request, Sampling
from llm_backends.errors import UnparsedReplyError
from taxonomy.building.built import BuiltTaxonomy, LabeledChunk
from taxonomy.building.relabeling import nearest_samples, sample_means, with_chunks
from taxonomy.model import ThoughtType
from taxonomy.questions import all_answers

MAX_TOKENS = 512
CALLS_A_ROUND = 1024
"""A failure is raised at the end of its round, not after all chunks were asked about and paid for."""
CHARACTERS = 6000
"""Of a chunk, at most; what is left out is marked, and noted."""
_MOVES_SHOWN = 3
PROMPT = """\
Steps of people's reasoning are sorted into these kinds, by what a step does:

{kinds}

Which of these kinds is the following step?

<step>
{text}
</step>

Reply with the name of the kind, exactly as it is written above, and nothing else."""

Choices = tuple[str, ...]
"""For each chunk, a node of the deepest level."""


async def choose_thought_types(built: BuiltTaxonomy, backend: Backend, say: Callable[[str], None]) -> Choices:
    """
    Args:
        built: the tree with its chunks. One without any words stays where it is.
        backend: who chooses; it must support choices. Its usage is accounted to the role "relabeler".
        say: told how many calls there will be, and how far they are.

    Raises:
        UnparsedReplyError: the replies about a chunk, which the message names, were none of the thought types, as often
            as the backend asks.
        BackendError: a chunk got no reply.
    """
    deepest = built.taxonomy.levels[-1]
    kinds = built.taxonomy.at_level(deepest)
    first_with: dict[str, LabeledChunk] = {}
    for chunk in built.chunks:
        if chunk.text.strip():
            first_with.setdefault(chunk.text.strip(), chunk)
    node_of: dict[str, str] = {}
    if len(kinds) > 1:
        say(
            f"relabeling {len(built.chunks)} chunks: {len(first_with)} calls of {backend.model_name}, one for each "
            "different text, less those with a reply from before"
        )
        chooser = _Chooser(kinds, backend)
        chunks = list(first_with.values())
        for start in range(0, len(chunks), CALLS_A_ROUND):
            asked = chunks[start : start + CALLS_A_ROUND]
            chosen = await all_answers(map(chooser.choose, asked))
            node_of.update((chunk.text.strip(), node) for chunk, node in zip(asked, chosen, strict=True))
            say(f"relabeling: {len(node_of)} of {len(first_with)} different texts")
    return tuple(
        node_of.get(chunk.text.strip(), built.node_id(chunk.sample, deepest)) for chunk in built.chunks
    )


class _Chooser:
    def __init__(self, kinds: Sequence[ThoughtType], backend: Backend) -> None:
        self._backend = backend
        self._node_of = {kind.name: kind.node_id for kind in kinds}
        self._kinds = "\n".join(f'- "{kind.name}": {kind.description}' for kind in kinds)

    async def choose(self, chunk: LabeledChunk) -> str:
        """A node."""
        text = chunk.text.strip()
        shown = text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} [...]"
        request = Request(
            (Message("user", PROMPT.format(kinds=self._kinds, text=shown)),),
            Sampling(temperature=0.0, max_tokens=MAX_TOKENS),
            choices=tuple(self._node_of),
            role="relabeler",
        )
        try:
            completion = await self._backend.complete(request)
        except UnparsedReplyError as error:
            raise type(error)(
                f"chunk {chunk.idx} of rollout {chunk.rollout_id!r} got no thought type: {error} (--relabeler)"
            ) from error
        return self._node_of[completion.text]


def relabeled(
    built: BuiltTaxonomy, choices: Choices, vectors: NDArray[np.floating[Any]], model_name: str
) -> BuiltTaxonomy:
    """The taxonomy with its chunks where the model put them, and notes on how many it moved.

    Args:
        built: the tree with its chunks.
        choices: of these chunks.
        vectors: of these chunks.
        model_name: for the notes.
    """
    deepest = built.taxonomy.levels[-1]
    samples_of: dict[str, list[int]] = {}
    for sample in range(len(built.samples)):
        samples_of.setdefault(built.node_id(sample, deepest), []).append(sample)
    means = sample_means([chunk.sample for chunk in built.chunks], vectors, len(built.samples))
    arrivals: dict[str, list[int]] = {}
    for row, (chunk, node) in enumerate(zip(built.chunks, choices, strict=True)):
        if built.node_id(chunk.sample, deepest) != node:
            arrivals.setdefault(node, []).append(row)
    chunks = list(built.chunks)
    for node, rows in arrivals.items():
        for row, place in zip(rows, nearest_samples(vectors[rows], means[samples_of[node]]), strict=True):
            chunks[row] = replace(chunks[row], sample=samples_of[node][place])
    moved = with_chunks(built, chunks)
    return replace(moved, warnings=(*built.warnings, *_notes(built, moved, model_name)))


def _notes(before: BuiltTaxonomy, after: BuiltTaxonomy, model_name: str) -> Iterator[str]:
    below_root = before.taxonomy.levels[1:]
    if not below_root:
        return
    moves = [_moves(before, after, level) for level in below_root]
    counts = [f"{sum(m.values())} at level {level}" for level, m in zip(below_root, moves, strict=True)]
    yield f"of {len(before.chunks)} chunks {model_name} gave another thought type to {', '.join(counts)}"
    label_of = {node.node_id: node.label for node in before.taxonomy.nodes}
    most = sorted(moves[-1].items(), key=lambda move: (-move[1], move[0]))[:_MOVES_SHOWN]
    if most:
        listed = ", ".join(f"{label_of[old]!r} to {label_of[new]!r} ({count})" for (old, new), count in most)
        yield f"most of these at the last level: from {listed}"
    left = [node.label for node in after.taxonomy.nodes if node.size == 0]
    if left:
        yield f"thought types that {model_name} gave to no chunk: {', '.join(map(repr, dict.fromkeys(left)))}"
    cut = sum(len(chunk.text.strip()) > CHARACTERS for chunk in after.chunks)
    if cut:
        yield f"of {cut} chunks {model_name} was shown the first {CHARACTERS} characters"


def _moves(before: BuiltTaxonomy, after: BuiltTaxonomy, level: int) -> Counter[tuple[str, str]]:
    """How many chunks went from one node of a level to another."""
    pairs = (
        (before.node_id(old.sample, level), after.node_id(new.sample, level))
        for old, new in zip(before.chunks, after.chunks, strict=True)
    )
    return Counter((old, new) for old, new in pairs if old != new)
