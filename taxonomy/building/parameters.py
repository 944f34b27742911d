"""What decides a build besides its rollouts: one object, checked when it is made."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from taxonomy.chunking.rules import CHUNKERS
from taxonomy.clustering import LINKAGES, LevelRules, Linkage
from taxonomy.errors import BuildError

Labeler = Literal["given", "llm", "none"]
Namer = Literal["medoid", "llm"]
Refine = Literal["none", "labels", "llm"]
Relabeler = Literal["nearest", "llm"]
Unlabeled = Literal["leave_out", "nearest"]
Basis = Literal["given", "around", "described", "texts"]
FEW_LABELS = 9
"""With so many given labels or fewer, finer levels are sought within them unless told otherwise."""
MAX_CLUSTERS = 15
FINER_NODES_A_LABEL = 4
CHUNKS_A_NODE = 500
"""The least size of a node is a chunk for so many, where it is not given, and 2 at least."""
USUAL_LEVELS = 7
USUAL_MAX_DEPTH = 8
_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("judged_triplets", 1, math.inf),
    ("levels", 1, math.inf),
    ("min_clusters", 2, math.inf),
    ("max_clusters", 1, math.inf),
    ("min_cluster_size", 1, math.inf),
    ("max_depth", 0, math.inf),
    ("n_centroids", 2, math.inf),
    ("seed", 0, 2**32 - 1),
    ("dimensions", 1, math.inf),
    ("description_weight", 0, 1),
)
"""Parameter, least, most."""


@dataclass(frozen=True)
class PipelineParameters:
    """Everything besides the rollouts and the model that decides what is built."""

    chunker: str = "sentences"
    """For traces that are not divided yet: sentences, paragraphs or llm."""
    labeler: Labeler = "given"
    """given: labels that are there; llm: a model labels chunks that have none; none: labels are not used."""
    unlabeled: Unlabeled = "leave_out"
    """What becomes of chunks without a label where others have one."""
    embedder: str | None = None
    """None: tfidf for labels and descriptions, and for many given labels; else the default for texts."""
    refine: Refine = "none"
    """labels: a sentence-transformers embedder is tuned to given labels; llm: to what a model judges alike."""
    judged_triplets: int = 1000
    """How many triplets of steps the model judges, for `refine` "llm"."""
    namer: Namer = "medoid"
    relabeler: Relabeler = "nearest"
    """nearest: chunks have the thought types that they were clustered into; llm: a model chooses for each chunk."""
    levels: int | None = None
    """The root's included. None: 7, or as many as `max_depth` allows."""
    level_sizes: tuple[int, ...] | None = None
    min_clusters: int = 2
    max_clusters: int | None = None
    """Of the last level. None: the given labels; with few of them four times as many; without any, 15."""
    min_cluster_size: int | None = None
    """Chunks of every node that is no given label. None: 1 in 500, at least 2."""
    linkage: Linkage = "ward"
    max_depth: int | None = None
    """Levels below the root, at most. None: 8, or what `levels` needs."""
    n_centroids: int = 512
    seed: int = 0
    dimensions: int | None = None
    """None: what the embedder has, which is 100 for tfidf."""
    description_weight: float = 0.5

    def __post_init__(self) -> None:
        for name, allowed in (
            ("chunker", (*CHUNKERS, "llm")),
            ("labeler", get_args(Labeler)),
            ("unlabeled", get_args(Unlabeled)),
            ("refine", get_args(Refine)),
            ("namer", get_args(Namer)),
            ("relabeler", get_args(Relabeler)),
            ("linkage", LINKAGES),
        ):
            if getattr(self, name) not in allowed:
                raise BuildError(
                    f"{name} is {getattr(self, name)!r}, allowed are {', '.join(allowed)} (--{name})"
                )
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                bound = f"at least {least}" if math.isinf(most) else f"{least} to {most}"
                raise BuildError(f"{name} is {value}, {bound} is allowed (--{name})")
        if self.embedder == "":
            raise BuildError("embedder is empty, allowed are the names that --help gives (--embedder)")
        if self.refine != "none" and not is_tunable(self.embedder):
            raise BuildError(
                f"--refine {self.refine} tunes a sentence-transformers model, but the embedder is "
                f"{self.embedder or 'not given'}; allowed are minilm, sentence-transformers:NAME_OR_PATH (--embedder)"
            )
        if self.level_sizes is None:
            self.rules(2, self.max_clusters)  # raises where they do not go together
        else:
            LevelRules(fixed_sizes=self.level_sizes)

    @property
    def n_levels(self) -> int:
        """Levels that are sought, the root's included."""
        if self.levels is not None:
            return self.levels
        return USUAL_LEVELS if self.max_depth is None else min(USUAL_LEVELS, self.max_depth + 1)

    @property
    def most_levels_below_root(self) -> int:
        return max(USUAL_MAX_DEPTH, self.n_levels - 1) if self.max_depth is None else self.max_depth

    def least_size(self, n_chunks: int) -> int:
        """Chunks that every node which is no given label has, where the tree grows from so many."""
        return max(2, n_chunks // CHUNKS_A_NODE) if self.min_cluster_size is None else self.min_cluster_size

    def rules(self, min_cluster_size: int, max_clusters: int | None) -> LevelRules:
        """For a tree that grows from texts or descriptions."""
        return LevelRules(
            levels=self.n_levels,
            min_clusters=self.min_clusters,
            max_clusters=max(MAX_CLUSTERS, self.min_clusters) if max_clusters is None else max_clusters,
            min_cluster_size=min_cluster_size,
            linkage=self.linkage,
            max_depth=self.most_levels_below_root,
            fixed_sizes=self.level_sizes,
        )

    @property
    def needs_model(self) -> tuple[str, ...]:
        """The flags that ask for a language model."""
        asking = ("chunker", "labeler", "refine", "namer", "relabeler")
        return tuple(flag for flag in asking if getattr(self, flag) == "llm")


def is_tunable(embedder: str | None) -> bool:
    """Whether an embedder is a sentence-transformers model."""
    return embedder == "minilm" or (embedder or "").startswith("sentence-transformers:")
