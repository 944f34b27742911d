"""A tree as a JSON object, and back, losslessly: what a line of a file of trees holds.

Node fields that have their default are left out. Whatever is appended to a file of lines
(`training.log.JsonLines`) may be such an object. Reading checks everything, since what is read may be trained on.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hierarchical_reasoning.outcomes import Outcome
from hierarchical_reasoning.trees.node import Leaf, Node, NodeKind, Scores
from hierarchical_reasoning.trees.tree import ReasoningTree

FORMAT = "reasoning_tree"
VERSION = 1

_CONFIG = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_SHOWN = 80
"""Characters of a wrong value in a message."""


def as_record(tree: ReasoningTree) -> dict[str, Any]:
    """What `tree_from` makes the tree of again, for `json.dumps`."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "problem_id": tree.problem_id,
        "update": tree.update,
        "next_id": tree.next_id,
        "nodes": [_node_record(node) for node in tree.nodes.values()],
        **({"pruned": [_node_record(node) for node in tree.pruned.values()]} if tree.pruned else {}),
        **({} if tree.sample is None else {"sample": tree.sample}),
        **({} if tree.chosen is None else {"chosen": tree.chosen}),
    }


def tree_from(record: object) -> ReasoningTree:
    """The tree that `as_record` made this of.

    Raises:
        ValueError: it is none, is of another version, or contradicts itself; the message names the field.
    """
    try:
        read = _TreeRecord.model_validate(record)
    except ValidationError as error:
        raise ValueError(_first_fault(error)) from error
    return ReasoningTree.from_nodes(
        read.problem_id,
        [_node(node) for node in read.nodes],
        pruned=[_node(node) for node in read.pruned],
        next_id=read.next_id,
        update=read.update,
        sample=read.sample,
        chosen=read.chosen,
    )


def _node_record(node: Node) -> dict[str, Any]:
    values = {field.name: (getattr(node, field.name), field.default) for field in fields(node)}
    record = {
        name: value for name, (value, default) in values.items() if default is MISSING or value != default
    }
    parts = {"leaf": node.leaf, "scores": node.scores}
    return record | {name: asdict(part) for name, part in parts.items() if part is not None}


class _LeafRecord(BaseModel):
    model_config = _CONFIG

    outcome: Annotated[Outcome, Field(strict=False)]  # JSON has its value
    reward: float | None
    extracted: str | None = None


class _ScoresRecord(BaseModel):
    model_config = _CONFIG

    local: float
    path: float
    causal: float
    total: float
    value: float | None
    uncertainty: float | None
    prior: float | None
    visits: int


class _NodeRecord(BaseModel):
    model_config = _CONFIG

    id: int
    parent: int | None
    tokens: list[int]
    text: str
    kind: NodeKind = "drawn"
    given: int = 0
    thought_type: str | None = None
    log_probs: Annotated[list[float], Field(default_factory=list)]
    ended: bool = False
    leaf: _LeafRecord | None = None
    scores: _ScoresRecord | None = None
    pruned: str | None = None


class _TreeRecord(BaseModel):
    model_config = _CONFIG

    format: Literal["reasoning_tree"]
    version: Literal[1]
    problem_id: str
    update: int | None
    next_id: int
    nodes: list[_NodeRecord]
    pruned: Annotated[list[_NodeRecord], Field(default_factory=list)]
    sample: int | None = None
    chosen: int | None = None


def _node(record: _NodeRecord) -> Node:
    leaf = record.leaf
    try:
        return Node(
            id=record.id,
            parent=record.parent,
            tokens=tuple(record.tokens),
            text=record.text,
            kind=record.kind,
            given=record.given,
            thought_type=record.thought_type,
            log_probs=tuple(record.log_probs),
            ended=record.ended,
            leaf=None if leaf is None else Leaf(leaf.outcome, leaf.reward, leaf.extracted),
            scores=None if record.scores is None else Scores(**record.scores.model_dump()),
            pruned=record.pruned,
        )
    except ValueError as error:
        raise ValueError(f"node {record.id}: {error}") from error


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    name = ".".join(map(str, fault["loc"]))
    if not name:
        return f"expected an object: {fault['msg']}"
    shown = repr(fault["input"])
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return f"`{name}`{'' if fault['type'] == 'missing' else f' is {shown}'}: {fault['msg']}"
