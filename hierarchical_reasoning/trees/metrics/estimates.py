"""What was expected of thoughts, beside what came: for the calibration of what estimates."""

from __future__ import annotations

from hierarchical_reasoning.trees.tree import ReasoningTree


def estimates_and_rewards(tree: ReasoningTree) -> list[tuple[float, float]]:
    """Of every thought that was estimated and every answer below it: the value, and the answer's path reward.

    Thoughts are estimated when they are made, and by what was learned from other trees, so each value is from before
    its reward. Pruned thoughts and answers count; a thought without an answer below it is in no pair. Deviation from
    what a value head learns from: places that end in an answer are left out, since no search asks what they are worth.
    """
    nodes = {**tree.nodes, **tree.pruned}
    pairs = []
    for node in sorted(nodes.values(), key=lambda node: node.id):
        if node.kind != "answer" or node.leaf is None or node.leaf.reward is None:
            continue
        above = node.parent
        while above is not None:
            thought = nodes[above]
            if thought.scores is not None and thought.scores.value is not None:
                pairs.append((thought.scores.value, node.leaf.reward))
            above = thought.parent
    return pairs
