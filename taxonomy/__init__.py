"""Thought-type taxonomies: from labeled rollouts to a tree, and from a tree to the options of a level.

Light to import: numerical and graph libraries are loaded by the functions and modules that need them
(`taxonomy.building.given_labels`, `taxonomy.directory`, `taxonomy.examples`).
"""

from taxonomy.directory import load_taxonomy
from taxonomy.distinct_names import FINISH_THINKING
from taxonomy.errors import (
    BuildError,
    ExamplesCacheError,
    LevelError,
    OutputDirectoryError,
    RolloutFileError,
    TaxonomyError,
    TaxonomyFileError,
    UnknownLabelError,
)
from taxonomy.model import Taxonomy, TaxonomyNode, ThoughtType
from taxonomy.reading import read_rollouts
from taxonomy.rollouts import Chunk, Rollout, write_rollouts
from taxonomy.transitions import TransitionCounts, label_transition_counts, table_transition_counts

__all__ = [
    "FINISH_THINKING",
    "BuildError",
    "Chunk",
    "ExamplesCacheError",
    "LevelError",
    "OutputDirectoryError",
    "Rollout",
    "RolloutFileError",
    "Taxonomy",
    "TaxonomyError",
    "TaxonomyFileError",
    "TaxonomyNode",
    "ThoughtType",
    "TransitionCounts",
    "UnknownLabelError",
    "label_transition_counts",
    "load_taxonomy",
    "read_rollouts",
    "table_transition_counts",
    "write_rollouts",
]
