"""From labeled rollouts to a taxonomy: embed, agglomerate, cut, name. Pure: nothing is read or written.

The given labels stay pure: each is a leaf of the last level, and the levels above merge them. A label's
vector joins what its description says with the mean of the chunks that carry it. Ward agglomeration of the
labels is cut at `levels` strictly growing sizes; a node that no cut divides is repeated on the next level, so
that depth and level agree for every node. The order of the rollouts does not matter.

Left out on purpose: chunking and labeling raw text, levels finer than the given labels, and names by a model: see
`taxonomy.building.pipeline`.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from taxonomy.building.built import BuiltTaxonomy, LabeledChunk, Sample, tree_nodes
from taxonomy.clustering import choose_cuts
from taxonomy.embedding.masked_tfidf import embed_texts
from taxonomy.errors import BuildError
from taxonomy.model import Taxonomy
from taxonomy.naming.composed import Member, display_label, name_node
from taxonomy.naming.label_meanings import usual_meaning
from taxonomy.rollouts import Rollout, rollout_lines

__all__ = ["BuildParameters", "BuiltTaxonomy", "LabeledChunk", "build_taxonomy"]

MAX_GIVEN_LABELS = 512


@dataclass(frozen=True)
class BuildParameters:
    """Everything besides the rollouts that decides what is built."""

    levels: int = 7
    level_sizes: tuple[int, ...] | None = None
    """Thought types at each level, where they are not to be chosen by silhouette; `levels` is then not used."""
    seed: int = 0
    dimensions: int = 100
    """Kept by the SVD of the chunk texts."""
    description_weight: float = 0.5
    """Share of a label's squared vector length that its description has; its chunks have the rest."""

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise BuildError(f"levels is {self.levels}, at least 1 is allowed (--levels)")
        sizes = self.level_sizes
        if sizes is not None and (sizes[:1] != (1,) or any(a >= b for a, b in pairwise(sizes))):
            raise BuildError(
                f"level sizes are {sizes}, allowed are growing numbers that begin with 1 (--level_sizes)"
            )
        if self.dimensions < 1:
            raise BuildError(f"dimensions is {self.dimensions}, at least 1 is allowed (--dimensions)")
        if not 0.0 <= self.description_weight <= 1.0:
            raise BuildError(
                f"description_weight is {self.description_weight}, 0 to 1 is allowed (--description_weight)"
            )


def build_taxonomy(
    rollouts: Iterable[Rollout],
    *,
    levels: int = 7,
    level_sizes: Sequence[int] | None = None,
    seed: int = 0,
    dimensions: int = 100,
    description_weight: float = 0.5,
    vectors: NDArray[np.float64] | None = None,
) -> BuiltTaxonomy:
    """Build the tree of the given labels.

    Where there are fewer given labels than `levels`, there are as many levels as labels, and a warning says
    so. `level_sizes` sets the number of thought types of each level instead; the last is that of the given
    labels. `vectors` are those of the chunks that have a label, a unit-length row each, the rollouts sorted by id;
    None is TF-IDF of the texts.

    Raises:
        BuildError: no rollouts, no labels, too many distinct ones, ids used twice, or a parameter out of
            range.
    """
    sizes = None if level_sizes is None else tuple(level_sizes)
    parameters = BuildParameters(levels, sizes, seed, dimensions, description_weight)
    ordered = sorted(rollouts, key=lambda rollout: rollout.id)
    check_ids(ordered)
    warnings: list[str] = []
    chunks = _labeled_chunks(ordered, warnings)
    chunks_of = positions_by_label(chunks)
    if vectors is None:
        vectors = embed_texts([chunk.text for chunk in chunks], dimensions=dimensions, seed=seed)
    members = members_of_labels(ordered, chunks_of, warnings)
    if sizes is not None and sizes[-1] != len(members):
        raise BuildError(
            f"level sizes are {sizes}, but the last level holds the given labels, which are {len(members)} "
            "(--level_sizes)"
        )
    if sizes is None and len(members) < levels:
        warnings.append(
            f"{levels} levels were asked for, but {len(members)} given labels carry {len(members)} at most: "
            f"built with {len(members)} (--levels)"
        )
    means = np.stack([vectors[chunks_of[member.label]].mean(axis=0) for member in members])
    label_vectors = vectors_of_labels(members, means, description_weight, seed)
    cuts = choose_cuts(label_vectors, min(levels, len(members)), sizes)
    samples = tuple(Sample(member.label, member.size) for member in members)

    def name(level: int, _cluster: int, items: list[int]) -> tuple[str, str]:
        return name_node([members[item] for item in items], is_root=level == 0)

    return BuiltTaxonomy(
        taxonomy=Taxonomy(tuple(tree_nodes(cuts, samples, name)), source="the taxonomy being built"),
        cuts=cuts,
        samples=samples,
        chunks=chunks,
        parameters=parameters,
        rollouts_sha256=hashlib.sha256(rollout_lines(ordered)).hexdigest(),
        warnings=tuple(warnings),
    )


def check_ids(rollouts: Sequence[Rollout]) -> None:
    """Raises BuildError where there are no rollouts, or two share an id."""
    if not rollouts:
        raise BuildError("there are no rollouts to build from")
    repeated = [rollout_id for rollout_id, times in Counter(r.id for r in rollouts).items() if times > 1]
    if repeated:
        raise BuildError(f"rollout ids used more than once: {', '.join(map(repr, repeated[:5]))}")


def _labeled_chunks(rollouts: Sequence[Rollout], warnings: list[str]) -> tuple[LabeledChunk, ...]:
    everything = [(rollout.id, chunk) for rollout in rollouts for chunk in rollout.chunks]
    labels = sorted({chunk.label for _, chunk in everything if chunk.label is not None})
    sample_of = {label: sample for sample, label in enumerate(labels)}
    chunks = tuple(
        LabeledChunk(rollout_id, chunk.idx, chunk.text, chunk.label, sample_of[chunk.label])
        for rollout_id, chunk in everything
        if chunk.label is not None
    )
    if not chunks:
        raise BuildError(
            f"none of the {len(everything)} chunks has a 'label'; this builder needs given labels"
        )
    if len(chunks) < len(everything):
        warnings.append(
            f"{len(everything) - len(chunks)} of {len(everything)} chunks have no label and were left out"
        )
    return chunks


def positions_by_label(
    chunks: Sequence[LabeledChunk], *, at_most: int | None = MAX_GIVEN_LABELS
) -> dict[str, list[int]]:
    """By label, in order, the positions of its chunks.

    Raises:
        BuildError: there are more labels than `at_most`.
    """
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for position, chunk in enumerate(chunks):
        positions[cast("str", chunk.given_label)].append(position)
    if at_most is not None and len(positions) > at_most:
        raise BuildError(
            f"the chunks carry {len(positions)} different labels; this builder keeps each given label pure "
            f"and takes at most {at_most}"
        )
    return dict(sorted(positions.items()))


def members_of_labels(
    rollouts: Sequence[Rollout],
    chunks_of: Mapping[str, list[int]],
    warnings: list[str],
) -> list[Member]:
    """The labels with their most frequent descriptions; one that has none is described by the words in it.

    Args:
        rollouts: in any order.
        chunks_of: the chunks that carry each label.
        warnings: gets what is to be said of descriptions.
    """
    described: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for rollout in rollouts:
        for chunk in rollout.chunks:
            if chunk.label is not None and chunk.description and chunk.description.strip():
                described[chunk.label][chunk.description.strip()] += 1
    members = []
    for label, positions in chunks_of.items():
        if label in described:
            # The most frequent wording; the alphabetically first of equally frequent ones.
            description = min(described[label].items(), key=lambda item: (-item[1], item[0]))[0]
        else:
            description = usual_meaning(label, display_label(label))
        members.append(Member(label, description, len(positions)))
    undescribed = [label for label in chunks_of if label not in described]
    if undescribed:
        warnings.append(
            "labels without a 'label_description', described by what the words in them usually mean: "
            + ", ".join(map(repr, undescribed))
        )
    reworded = [label for label, wordings in sorted(described.items()) if len(wordings) > 1]
    if reworded:
        warnings.append(
            "labels with more than one 'label_description', the most frequent one taken: "
            + ", ".join(map(repr, reworded))
        )
    return members


def vectors_of_labels(
    members: Sequence[Member], means: NDArray[np.float64], description_weight: float, seed: int
) -> NDArray[np.float64]:
    """Unit-length rows: each label's mean chunk beside its description.

    Means are taken relative to the mean label: what all steps share says nothing about any of them.
    """
    from_chunks = normalize(means - means.mean(axis=0))
    label_texts = [f"{display_label(member.label)}: {member.description}" for member in members]
    from_descriptions = embed_texts(label_texts, dimensions=len(members), seed=seed, mask=False)
    share = description_weight
    return np.hstack([np.sqrt(1 - share) * from_chunks, np.sqrt(share) * from_descriptions])
