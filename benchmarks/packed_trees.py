"""Seconds and peak memory of a gradient over trees of tokens: packed, each token once, against one path a row.

Trees have a prompt, and below it branches that split in two at equal lengths until there are enough leaves; how long
what leaves share is against what is each one's own gives the share of unique tokens, which is tokens of the tree
divided by tokens on all of its paths. The loss is on all tokens that were drawn, each as often as it stands in the
rows, so that both ways have the same gradient; it is compared, in float32. Rows are computed so many at a time that a
pass has no more tokens than a packed one may have. Each measurement is a process of its own.

    python benchmarks/packed_trees.py --output benchmarks/results/packed_trees.json
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from measuring import Memory, alone, machine, medians, seconds_of

from hierarchical_reasoning.assets import MODEL
from hierarchical_reasoning.training.packed.packed_forward import PackedModel
from hierarchical_reasoning.training.packed.packing import pack
from hierarchical_reasoning.training.packed.token_forest import NO_PLACE, TokenForest, lay_out
from llm_backends.local.loading import load_model

PROMPT = 60
"""Tokens, as the bundled problems have."""


@dataclass(frozen=True)
class Shape:
    """Of a tree."""

    leaves: int
    """A power of two."""
    path: int
    """Tokens of a path, the prompt included."""
    shared: float
    """Of what is drawn on a path, the part that is above its last split."""

    def segments(self, seed: int, vocabulary: int) -> tuple[list[int], list[list[int]]]:
        """Parents, and tokens of each segment."""
        rng = random.Random(seed)
        splits = self.leaves.bit_length() - 1
        drawn = self.path - PROMPT
        above = round(drawn * self.shared / splits)
        parents, lengths, level = [NO_PLACE], [PROMPT], [0]
        for depth in range(splits + 1):
            length = drawn - above * splits if depth == splits else above
            below = [parent for parent in level for _ in range(2 if depth else 1)]
            level = list(range(len(parents), len(parents) + len(below)))
            parents += below
            lengths += [length] * len(below)
        return parents, [[rng.randrange(vocabulary) for _ in range(length)] for length in lengths]


@dataclass(frozen=True)
class Task:
    """What both ways get."""

    shape: Shape
    trees: int
    tokens_per_pass: int
    repeats: int

    def forests(self, vocabulary: int) -> list[TokenForest]:
        return [lay_out(*self.shape.segments(seed, vocabulary))[0] for seed in range(self.trees)]


def paths_of(forest: TokenForest) -> list[torch.Tensor]:
    """The places of each path, from the root to a leaf."""
    has_child_T = torch.zeros(len(forest), dtype=torch.bool)
    has_child_T[forest.previous_T[forest.previous_T != NO_PLACE]] = True
    leaves = (~has_child_T).nonzero().squeeze(1).tolist()
    return [torch.cat([forest.path_above(leaf), torch.tensor([leaf])]) for leaf in leaves]


def packed(task: Task) -> dict[str, Any]:
    module, vocabulary = _model()
    model = PackedModel(module)
    forests = task.forests(vocabulary)
    starts = torch.tensor([0, *accumulate(map(len, forests))])
    times = torch.cat([torch.bincount(torch.cat(paths_of(each)), minlength=len(each)) for each in forests])

    def update() -> int:
        computed = 0
        for part in pack(forests, task.tokens_per_pass):
            drawn_T = part.counts_T & (part.forest.positions_T >= PROMPT)
            places_L = drawn_T.nonzero().squeeze(1)
            weights_L = times[starts[part.tree_T[places_L]] + part.place_T[places_L]]
            logits_LV = model.logits(part.forest, part.forest.previous_T[places_L])
            losses_L = _losses(logits_LV, part.forest.tokens_T[places_L])
            torch.autograd.backward((losses_L * weights_L).sum())
            computed += len(part.forest)
        return computed

    return _measured(module, update, task.repeats)


def by_rows(task: Task) -> dict[str, Any]:
    module, vocabulary = _model()
    rows = [forest.tokens_T[path] for forest in task.forests(vocabulary) for path in paths_of(forest)]
    at_a_time = max(1, task.tokens_per_pass // task.shape.path)

    def update() -> int:
        computed = 0
        for start in range(0, len(rows), at_a_time):
            tokens_BT = torch.stack(rows[start : start + at_a_time])
            hidden_BTH = module.get_decoder()(input_ids=tokens_BT, use_cache=False).last_hidden_state
            logits_BTV = module.get_output_embeddings()(hidden_BTH[:, PROMPT - 1 : -1])
            losses_L = _losses(logits_BTV.flatten(0, 1), tokens_BT[:, PROMPT:].flatten())
            torch.autograd.backward(losses_L.sum())
            computed += tokens_BT.numel()
        return computed

    return _measured(module, update, task.repeats)


def _losses(logits_LV: torch.Tensor, tokens_L: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits_LV, tokens_L, reduction="none")


def _model() -> tuple[Any, int]:
    module = load_model(str(MODEL), dtype="float32", device="cpu").module
    return module, module.config.vocab_size


def _measured(module: Any, update: Callable[[], int], repeats: int) -> dict[str, Any]:
    """Of gradients, the first of which warms up; and the norm of that of each parameter."""
    memory = Memory("cpu")
    seconds, computed = [], 0
    for _ in range(1 + repeats):
        module.zero_grad()
        took, computed = seconds_of(update)
        seconds.append(took)
    norms = [float(parameter.grad.norm()) for parameter in module.parameters()]
    return medians(seconds) | {"peak_mb": memory.peak(), "computed_tokens": computed, "norms": norms}


def compare(task: Task) -> dict[str, Any]:
    """A row of the table."""
    ours, theirs = alone(packed, task), alone(by_rows, task)
    forests = task.forests(vocabulary=1024)
    unique = sum(map(len, forests))
    on_paths = sum(len(path) for forest in forests for path in paths_of(forest))
    differences = [abs(a - b) / b for a, b in zip(ours.pop("norms"), theirs.pop("norms"), strict=True)]
    return {
        "leaves": task.shape.leaves,
        "path_tokens": task.shape.path,
        "unique_share": round(unique / on_paths, 3),
        "computed_per_unique": round(ours["computed_tokens"] / unique, 3),
        "times_as_fast": round(theirs["seconds"] / ours["seconds"], 2),
        "times_as_fast_cpu": round(theirs["cpu_seconds"] / ours["cpu_seconds"], 2),
        "largest_difference_of_gradient_norms": float(f"{max(differences):.1e}"),
        "packed": ours,
        "rows": theirs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leaves", type=int, nargs="+", default=[4, 16, 64], help="powers of two")
    parser.add_argument("--shared", type=float, nargs="+", default=[0.1, 0.5, 0.9], help="see Shape.shared")
    parser.add_argument("--path", type=int, default=360, help="tokens of a path")
    parser.add_argument("--trees", type=int, default=1)
    parser.add_argument("--tokens_per_pass", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = []
    for leaves in arguments.leaves:
        for shared in arguments.shared:
            shape = Shape(leaves, arguments.path, shared)
            rows.append(compare(Task(shape, arguments.trees, arguments.tokens_per_pass, arguments.repeats)))
            print(json.dumps(rows[-1]), flush=True)
    if arguments.output:
        about = vars(arguments) | {"output": None} | machine("cpu")
        arguments.output.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
