"""One trace in full: what was thought, under which thought type, what it took, and how it ended.

A thought type has the same colour wherever it occurs, in every run. Text of models and problems is printed as it is:
never read as markup, its control characters made visible.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.style import Style
from rich.text import Text

from hierarchical_reasoning.cli.figures import cost_text, memory_text, visible_cell
from hierarchical_reasoning.results.reader import RunFile
from hierarchical_reasoning.results.records import (
    EpisodeRecord,
    MemoryRecord,
    ResultEntry,
    SearchRecord,
    StepRecord,
    TokenUsage,
)
from hierarchical_reasoning.thought_colours import hex_of, hue_of
from hierarchical_reasoning.wording import counted
from taxonomy.terminal import visible


def show_trace(console: Console, run: RunFile, entry: ResultEntry) -> None:
    """Print the trace of `entry`, which is one of `run`."""
    for part in _parts(run, entry):
        console.print(part, soft_wrap=True)


def colour_of(thought_type: str) -> Style:
    """The colour that a thought type has everywhere."""
    return Style(color=hex_of(hue_of(thought_type), lightness=0.6, saturation=0.7), bold=True)


def _parts(run: RunFile, entry: ResultEntry) -> Iterator[Text]:
    mode = f"level {entry.label_level}" if entry.use_hierarchical else "vanilla"
    sample = f", sample {entry.sample}" if entry.sample else ""
    category = "" if entry.category is None else f", category {entry.category}"
    where = f"{run.path}: {run.facts.model_name}, {mode}"
    yield _text(f"{where}\n", "dim")
    yield _text(visible_cell(f"{entry.problem_id}{sample}{category}"), "bold")
    yield _text(f"{entry.problem}\n")
    for number, step in enumerate(entry.steps, start=1):
        yield from _step(number, step)
    yield _text("\nresponse", "bold")
    yield _text(entry.final_response)
    yield _text("\noutcome", "bold").append_text(_text(f" {entry.outcome}: {entry.reason}", ""))
    how = f" ({entry.extracted_by})" if entry.extracted_by else ""
    answer = "none" if entry.extracted_answer is None else f"{entry.extracted_answer}{how}"
    yield _text(f"extracted answer: {answer}")
    yield _text(f"ground truth: {truth_text(entry)}")
    if entry.value is not None:
        yield _text(f"value: {entry.value:.3f}")
    if entry.episode is not None:
        yield _text(_earned(entry.episode))
    if entry.search is not None:
        yield _text(_searched(entry.search))
    if entry.error is not None:
        yield _text(f"error: {entry.error.type}: {entry.error.message}", "red")
    for role, usage in entry.usage.items():
        cached = f", {usage.from_cache:,} of them received before" if usage.from_cache else ""
        yield _text(f"{role}: {usage.calls:,} calls{cached}, {_tokens(usage)}, {cost_text(usage.cost_usd)}")
        for reason, count in sorted(usage.repeats.items()):
            yield _text(f"{role}: asked again after {reason}: {count:,}")
    yield _text(f"seconds: {entry.seconds:.1f}")
    if entry.memory is not None:
        yield _text(_held(entry.memory))
    for note in entry.notes:
        yield _text(f"note: {note}")


def _step(number: int, step: StepRecord) -> Iterator[Text]:
    probability = (step.planner_probabilities or {}).get(step.thought_type)
    said = [] if probability is None else [f"chosen with {100 * probability:.0f} %"]
    for role, usage in (("planner", step.planner_usage), ("reasoner", step.reasoner_usage)):
        if usage is not None:
            said.append(f"{role} {_tokens(usage)}")
    if step.truncated:
        said.append("cut off")
    heading = Text(f"{number}. ", "bold").append(
        f"[{visible(step.thought_type)}]", colour_of(step.thought_type)
    )
    yield heading.append(f"  {'; '.join(said)}", "dim")
    if step.thought:
        yield _text(step.thought)
    for note in step.notes:
        yield _text(f"note: {note}", "dim")


def _earned(episode: EpisodeRecord) -> str:
    of = f"update {episode.update}" + ("" if episode.epoch is None else f", epoch {episode.epoch}")
    if episode.reward is None:
        return f"reward: none, as it failed ({of})"
    parts = f"{episode.correct:g} for the answer, {episode.brevity:.4g} for {episode.characters:,} characters"
    learned = "" if episode.advantage is None else f"; advantage {episode.advantage:+.4g}"
    return f"reward: {episode.reward:.4g} ({parts}){learned}; {of}"


def _searched(search: SearchRecord) -> str:
    answers = f"{counted(len(search.answers), 'answer')} ({len({each.answer for each in search.answers}):,} different)"
    return f"search: {counted(search.nodes, 'node')}, {search.pruned:,} of them pruned, {answers}; {search.ended}"


def _held(memory: MemoryRecord) -> str:
    gpus = "" if memory.peak_gpu_bytes is None else f"; of its GPUs {memory_text(memory.peak_gpu_bytes)}"
    return (
        f"peak memory of the process until then: {memory_text(memory.peak_bytes)}, "
        f"{memory_text(memory.grown_bytes)} more than before the problem{gpus}"
    )


def truth_text(entry: ResultEntry) -> str:
    """The ground truth in a line; accepted answers with " or " between them."""
    truth = entry.ground_truth
    return "none given" if truth is None else truth if isinstance(truth, str) else " or ".join(truth)


def _tokens(usage: TokenUsage) -> str:
    return (
        f"{usage.prompt_tokens:,} tokens in ({usage.cached_tokens:,} cached), {usage.completion_tokens:,} out"
    )


def _text(text: str, style: str = "") -> Text:
    return Text(visible(text), style)
