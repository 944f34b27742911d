"""Teaching an embedder what is alike: triplets of steps, and a sentence-transformers model tuned to them.

A triplet says that its anchor is more like its positive than its negative. Triplets come from given labels
(`labels`), or from a language model that compares steps (`judged`); `training` tunes the model, and measures how
many held-out triplets it gets right before and after. Nothing but what is installed for the embedder itself is needed.
"""

from taxonomy.refining.triplets import Lesson, Triplets

__all__ = ["Lesson", "Triplets"]
