"""How the rollouts of a language model grow: from a prompt to a `ReasoningTree`, whose leaves the caller grades."""

from hierarchical_reasoning.training.explorers.base import Explorer, Grown, Growth, TokenTexts
from hierarchical_reasoning.training.explorers.conversation import Conversation
from hierarchical_reasoning.training.explorers.entropy_tree import EntropyTreeExplorer
from hierarchical_reasoning.training.explorers.linear import LinearExplorer
from hierarchical_reasoning.training.explorers.origin import Origin
from hierarchical_reasoning.training.explorers.presets import PRESETS, Preset
from hierarchical_reasoning.training.explorers.search_tree import SearchTreeExplorer, SearchTreeSettings
from hierarchical_reasoning.training.explorers.settings import EntropyTreeSettings, LinearSettings
from hierarchical_reasoning.training.explorers.thought_settings import ThoughtTreeSettings
from hierarchical_reasoning.training.explorers.thought_tree import ThoughtTreeExplorer
from hierarchical_reasoning.training.explorers.thought_writing import ThoughtWriter

__all__ = [
    "PRESETS",
    "Conversation",
    "EntropyTreeExplorer",
    "EntropyTreeSettings",
    "Explorer",
    "Grown",
    "Growth",
    "LinearExplorer",
    "LinearSettings",
    "Origin",
    "Preset",
    "SearchTreeExplorer",
    "SearchTreeSettings",
    "ThoughtTreeExplorer",
    "ThoughtTreeSettings",
    "ThoughtWriter",
    "TokenTexts",
]
