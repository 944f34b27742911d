"""From places to vectors. Light to import: what an encoder needs is loaded when it encodes."""

from hierarchical_reasoning.values.encoders.base import Encoder
from hierarchical_reasoning.values.encoders.hashed import HashedWords
from hierarchical_reasoning.values.encoders.hidden_states import HiddenStates
from hierarchical_reasoning.values.encoders.served import ServedEmbeddings

__all__ = ["Encoder", "HashedWords", "HiddenStates", "ServedEmbeddings"]
