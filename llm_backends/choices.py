"""The trie policy: an exact distribution over a fixed set of options, from a language model's logits.

Each option is its label's tokens **and the token that ends the turn**. Over the trie of these sequences

    pi(option) = product over its tokens of softmax(logits at the node before), over that node's children only

so pi sums to 1 over the options with any tokenizer, labels may share tokens or be prefixes of each other, and
nodes with a single child cost nothing. Inference (`LocalBackend`) and training use these same functions:
normalising otherwise in one of them would make every update off-policy.

Axes: V vocabulary, N branching nodes, P packed nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from llm_backends.errors import BadRequestError

ROOT = 0


@dataclass(frozen=True)
class ChoiceTrie:
    """The token trie of a set of options. Node 0 is the root: the prompt's last token. Parents precede
    children."""

    parent: tuple[int, ...]
    """Parent of each node; -1 for the root."""
    token: tuple[int, ...]
    """Token of each node; -1 for the root."""
    depth: tuple[int, ...]
    """Tokens below the root, so a node's position is that of the prompt's last token plus its depth."""
    children: tuple[tuple[int, ...], ...]
    leaf: tuple[int, ...]
    """The node where each option ends, in the order of the options."""

    @classmethod
    def build(
        cls, token_sequences: Sequence[Sequence[int]], names: Sequence[str] | None = None
    ) -> ChoiceTrie:
        """Build the trie; each sequence must end with the token that ends the turn.

        :param names: of the options, for messages; None: their numbers.
        :raises BadRequestError: no options, an empty one, two alike, or one that is a prefix of another
            (which cannot be once each ends with a token that occurs nowhere else).
        """
        if not token_sequences:
            raise BadRequestError("there are no options to choose from; give at least one")
        called = (
            [str(index) for index in range(len(token_sequences))] if names is None else [*map(repr, names)]
        )
        parent, token, depth = [-1], [-1], [0]
        children: list[dict[int, int]] = [{}]
        leaf: list[int] = []
        for index, sequence in enumerate(token_sequences):
            node = ROOT
            for token_id in sequence:
                child = children[node].get(token_id)
                if child is None:
                    child = len(parent)
                    children[node][token_id] = child
                    parent.append(node)
                    token.append(token_id)
                    depth.append(depth[node] + 1)
                    children.append({})
                node = child
            if node == ROOT:
                raise BadRequestError(
                    f"option {called[index]} has no tokens; end each with the end-of-turn token"
                )
            if node in leaf:
                raise BadRequestError(
                    f"options {called[leaf.index(node)]} and {called[index]} have the same tokens "
                    f"{list(sequence)}, so the model cannot tell them apart; rename one of them, or take a model "
                    "whose tokenizer keeps them apart"
                )
            leaf.append(node)
        for index, node in enumerate(leaf):
            if children[node]:
                raise BadRequestError(
                    f"the tokens of option {called[index]}, {list(token_sequences[index])}, are a prefix of another "
                    "option's; end each with the end-of-turn token, and let none contain it"
                )
        below = tuple(tuple(nodes.values()) for nodes in children)
        return cls(tuple(parent), tuple(token), tuple(depth), below, tuple(leaf))

    @cached_property
    def branching(self) -> tuple[int, ...]:
        """Nodes with two children or more, in node order: those whose logits matter."""
        return tuple(node for node, below in enumerate(self.children) if len(below) > 1)

    @cached_property
    def packed(self) -> tuple[int, ...]:
        """Nodes whose tokens must be fed, so that every branching node has logits: the branching nodes below
        the root and what lies above them. In node order; empty when the options part at their first token."""
        needed: set[int] = set()
        for branching in self.branching:
            node = branching
            while node != ROOT and node not in needed:
                needed.add(node)
                node = self.parent[node]
        return tuple(sorted(needed))

    @cached_property
    def branching_rows(self) -> tuple[int, ...]:
        """Where each branching node's logits lie in the sequence (last prompt token, *packed)."""
        row = {ROOT: 0} | {node: index + 1 for index, node in enumerate(self.packed)}
        return tuple(row[node] for node in self.branching)

    @cached_property
    def packed_mask(self) -> torch.Tensor:
        """(P, P) bool: whether a packed node (row) attends to another (column): to itself and to what lies
        above it. Everything in the prompt is attended to as well."""
        place = {node: index for index, node in enumerate(self.packed)}
        mask = torch.zeros(len(place), len(place), dtype=torch.bool)
        for node, index in place.items():
            above = node
            while above != ROOT:
                mask[index, place[above]] = True
                above = self.parent[above]
        return mask

    @cached_property
    def _edges(self) -> _Edges:
        children_NC: list[list[int]] = [[] for _ in self.branching]
        edge_of_child: dict[int, tuple[int, int]] = {}
        for row, node in enumerate(self.branching):
            for column, child in enumerate(self.children[node]):
                children_NC[row].append(self.token[child])
                edge_of_child[child] = (row, column)
        width = max((len(row) for row in children_NC), default=0)
        tokens_NC = torch.zeros(len(children_NC), width, dtype=torch.long)
        exists_NC = torch.zeros(len(children_NC), width, dtype=torch.bool)
        for index, tokens in enumerate(children_NC):
            tokens_NC[index, : len(tokens)] = torch.tensor(tokens)
            exists_NC[index, : len(tokens)] = True
        options: list[int] = []
        edges: list[int] = []
        for option, leaf in enumerate(self.leaf):
            node = leaf
            while node != ROOT:
                if node in edge_of_child:
                    row, column = edge_of_child[node]
                    options.append(option)
                    edges.append(row * width + column)
                node = self.parent[node]
        return _Edges(
            tokens_NC,
            exists_NC,
            torch.tensor(options, dtype=torch.long),
            torch.tensor(edges, dtype=torch.long),
        )


@dataclass(frozen=True)
class _Edges:
    """The edges below branching nodes, as a table with one row a node, padded to the widest."""

    tokens: torch.Tensor
    """(N, C) token of each child."""
    exists: torch.Tensor
    """(N, C) false where a row is padded."""
    options: torch.Tensor
    """(E,) an option, and in the same place of `edges` an edge on its path, numbered through the table."""
    edges: torch.Tensor
    """(E,)"""


def option_log_probs(trie: ChoiceTrie, logits_NV: torch.Tensor) -> torch.Tensor:
    """log pi of each option, (n_options,), differentiable in the logits.

    :param logits_NV: the logits at `trie.branching`, in that order; N may be 0 (a single option). Computed in
        float32, or in float64 when given so.
    """
    if logits_NV.ndim != 2 or logits_NV.shape[0] != len(trie.branching):
        raise BadRequestError(
            f"logits have shape {tuple(logits_NV.shape)}; it needs ({len(trie.branching)}, vocabulary), "
            "a row for each branching node"
        )
    if logits_NV.dtype != torch.float64:
        logits_NV = logits_NV.float()
    edges = trie._edges
    device = logits_NV.device
    zeros = logits_NV.new_zeros(len(trie.leaf))
    if not trie.branching:
        return zeros
    logits_NC = logits_NV.gather(1, edges.tokens.to(device))
    log_probs_NC = logits_NC.masked_fill(~edges.exists.to(device), float("-inf")).log_softmax(dim=-1)
    on_paths_E = log_probs_NC.flatten().index_select(0, edges.edges.to(device))
    return zeros.index_add(0, edges.options.to(device), on_paths_E)
