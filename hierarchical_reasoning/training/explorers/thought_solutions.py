"""A path of a thought tree as the solution that the loop of inference would record."""

from __future__ import annotations

from collections.abc import Collection

from hierarchical_reasoning.planners.untyped import UNTYPED
from hierarchical_reasoning.results.records import StepRecord
from hierarchical_reasoning.solvers import Solution
from hierarchical_reasoning.solvers.hierarchical import record_stop
from hierarchical_reasoning.trace import FINISH
from hierarchical_reasoning.training.explorers.conversation import Conversation
from hierarchical_reasoning.trees import Node, ReasoningTree
from taxonomy.model import ThoughtType

STEPS_FLAG = "--max_steps_per_episode"


def solution_of(
    tree: ReasoningTree,
    leaf: int,
    conversation: Conversation,
    end_ids: Collection[int],
    max_steps: int,
    *,
    steps_flag: str = STEPS_FLAG,
) -> Solution:
    """What a path has: its steps, and the final response. What calls took is not in it, since paths share them, nor
    are the planner's probabilities.

    Args:
        end_ids: the tokens that end a reply.
        max_steps: by which "Finish thinking" was chosen or forced.
        steps_flag: the one that set `max_steps`, for notes.
    """
    options = {option.name: option for option in conversation.options}
    solution = Solution()
    for node in map(tree.node, tree.path(leaf)[1:]):
        assert node.thought_type is not None, "every node of a thought tree has a thought type"
        written = written_tokens(node, end_ids)
        if node.thought_type != FINISH:
            solution.steps.append(_step(node, written, options[node.thought_type], conversation))
            continue
        if len(solution.steps) == max_steps - 1:
            record_stop(solution, max_steps, steps_flag)
        else:
            solution.steps.append(_record(FINISH, None))
        solution.final_response = conversation.chat.text(written)
        solution.truncated = not node.ended
        return solution
    solution.truncated = True
    solution.notes.append(
        f"no final answer: after {len(solution.steps)} thoughts the context has no room for what comes next; lower "
        f"{steps_flag} or --max_thought_tokens"
    )
    return solution


def written_tokens(node: Node, end_ids: Collection[int]) -> tuple[int, ...]:
    """What the model wrote in a node, without the end of its turn."""
    drawn = node.tokens[node.given :]
    return drawn[:-1] if drawn and drawn[-1] in end_ids else drawn


def _step(
    node: Node, written: tuple[int, ...], option: ThoughtType, conversation: Conversation
) -> StepRecord:
    thought = conversation.chat.text(written).strip()
    notes = []
    if not node.ended:
        notes.append(f"the thought was cut off at {len(written)} tokens")
    if conversation.reply_tokens(thought) != written:
        notes.append(
            "the thought stands in the tree as it was drawn; inference would read its text as other tokens"
        )
    return _record(
        option.name,
        None if option == UNTYPED else option.node_id,
        thought=thought,
        truncated=not node.ended,
        notes=tuple(notes),
    )


def _record(
    name: str,
    node_id: str | None,
    *,
    thought: str = "",
    truncated: bool = False,
    notes: tuple[str, ...] = (),
) -> StepRecord:
    return StepRecord(
        thought_type=name,
        node_id=node_id,
        thought=thought,
        planner_probabilities=None,
        planner_usage=None,
        reasoner_usage=None,
        truncated=truncated,
        notes=notes,
    )
