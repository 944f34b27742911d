"""Rollouts that share their beginnings, as one tree of token segments: read, written, counted and looked at."""

from hierarchical_reasoning.trees.node import Leaf, Node, NodeKind, Scores
from hierarchical_reasoning.trees.tree import ReasoningTree

__all__ = ["Leaf", "Node", "NodeKind", "ReasoningTree", "Scores"]
