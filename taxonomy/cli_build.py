"""The command that builds a taxonomy. `taxonomy.cli` registers it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taxonomy.terminal import visible

if TYPE_CHECKING:
    from llm_backends import Backend, ReplyCache
    from taxonomy.building.parameters import PipelineParameters
    from taxonomy.building.pipeline import PipelineResult
    from taxonomy.building.stages import StageReport

_REPLIES_FILE = "replies.sqlite"
_CHUNKERS = ("sentences", "paragraphs", "llm")
_LABELERS = ("given", "llm", "none")
_REFINES = ("none", "labels", "llm")
_LINKAGES = ("ward", "average", "complete")


def _sizes(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: allowed are whole numbers with commas, as in 1,2,4,8,15"
        ) from None


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("rollouts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Directory to write.")
@click.option("--overwrite", is_flag=True, help="Replace a taxonomy that was written there before.")
@click.option(
    "--chunker",
    type=click.Choice(_CHUNKERS),
    default="sentences",
    show_default=True,
    help="Who divides traces that come as one text.",
)
@click.option(
    "--labeler",
    type=click.Choice(_LABELERS),
    default="given",
    show_default=True,
    help="given: labels that are there; llm: a model labels chunks that have none, with the given labels where there "
    "are some; none: chunks are clustered by text.",
)
@click.option(
    "--unlabeled",
    type=click.Choice(("leave_out", "nearest")),
    default="leave_out",
    show_default=True,
    help="What becomes of chunks without a label where others have one.",
)
@click.option(
    "--embedder",
    help="How chunks are compared: tfidf, discourse, minilm, sentence-transformers:NAME_OR_PATH, openai:MODEL. "
    "[default: tfidf for labels, discourse for texts]",
)
@click.option(
    "--refine",
    type=click.Choice(_REFINES),
    default="none",
    show_default=True,
    help="Tune a sentence-transformers embedder first. labels: to the given labels, which --labeler none leaves out of "
    "the tree; llm: to triplets of steps that a model compares.",
)
@click.option(
    "--judged_triplets",
    default=1000,
    show_default=True,
    help="Triplets that the model compares for --refine llm, a call each.",
)
@click.option(
    "--namer",
    type=click.Choice(("medoid", "llm")),
    default="medoid",
    show_default=True,
    help="Who names the nodes: medoid needs no model.",
)
@click.option(
    "--relabeler",
    type=click.Choice(("nearest", "llm")),
    default="nearest",
    show_default=True,
    help="Who gives chunks their thought types in the finished tree. nearest: each stays where it was clustered; "
    "llm: a model chooses, one call a chunk.",
)
@click.option("--levels", type=int, help="Levels, the root's included. [default: 7, if --max_depth allows]")
@click.option(
    "--level_sizes",
    callback=lambda context, option, value: _sizes(value),
    help="Thought types at each level, as in 1,2,4,8,15, instead of sizes chosen by silhouette.",
)
@click.option("--min_clusters", default=2, show_default=True, help="Of the first level below the root.")
@click.option(
    "--max_clusters",
    type=int,
    help="Of the last level. [default: the given labels; four times as many where they are fewer than 10; 15 "
    "without labels]",
)
@click.option(
    "--min_cluster_size",
    type=int,
    help="Chunks of every node that is no given label. [default: 1 in 500, at least 2]",
)
@click.option(
    "--linkage",
    type=click.Choice(_LINKAGES),
    default="ward",
    show_default=True,
    help="Of centroids. Given labels are always joined by ward.",
)
@click.option(
    "--max_depth", type=int, help="Levels below the root, at most. [default: 8, or what --levels needs]"
)
@click.option("--n_centroids", default=512, show_default=True, help="Of the chunks, at most.")
@click.option("--seed", default=0, show_default=True, help="Seed of k-means and dimension reduction.")
@click.option(
    "--dimensions", type=int, help="Dimensions kept of the chunks. [default: 100 for tfidf, else all]"
)
@click.option(
    "--description_weight",
    default=0.5,
    show_default=True,
    help="Weight of a label's description against its chunks, 0 to 1.",
)
@click.option(
    "--llm_framework", help="For llm above: openai, together, anthropic, vllm, local, or a plug-in."
)
@click.option("--model_name", help="The model that chunks, labels, compares, names and relabels.")
@click.option("--base_url", help="Address of the server, where the framework takes one.")
@click.option("--api_key_env", help="Environment variable with the key.")
@click.option(
    "--max_concurrency", default=32, show_default=True, help="Calls of the model in flight at once."
)
@click.option(
    "--stages_dir",
    type=click.Path(path_type=Path),
    help="Where the results of the stages, and the model's replies, are kept. [default: .NAME.stages beside the "
    "output]",
)
def build(
    rollouts: tuple[Path, ...],
    output: Path,
    overwrite: bool,
    stages_dir: Path | None,
    llm_framework: str | None,
    model_name: str | None,
    base_url: str | None,
    api_key_env: str | None,
    max_concurrency: int,
    **parameters: Any,
) -> None:
    """Build a taxonomy directory from ROLLOUTS: .jsonl with a rollout on every line, .json with a list of them or with
    the results of a run, .csv with a chunk on every line; also gzipped. A rollout, here on four lines:

    \b
    {"id": "r1", "problem": "What is 12 * 4 + 2?", "is_correct": true, "chunks": [
      {"idx": 0, "label": "Multiplication", "label_description": "Multiply two numbers.", "text": "12 * 4 is 48."},
      {"idx": 1, "label": "Addition", "label_description": "Add two numbers.", "text": "48 + 2 is 50."},
      {"idx": 2, "label": "Answer Statement", "label_description": "State the answer.", "text": "It is 50."}]}

    Instead of chunks there may be a text of the whole trace; labels may be absent, and are clustered for then. Stages
    are kept: what did not change since the last build, or since it was killed, is not done again.
    """
    from taxonomy.building.parameters import PipelineParameters
    from taxonomy.building.pipeline import stages_beside

    if output == Path():
        raise click.BadParameter("is empty, a directory is needed", param_hint="--output")
    wanted = PipelineParameters(**parameters)
    kept_in = stages_dir or stages_beside(output)
    model: dict[str, Any] = {"model_name": model_name, "max_concurrency": max_concurrency}
    model |= {name: given for name, given in (("base_url", base_url), ("api_key_env", api_key_env)) if given}
    result = asyncio.run(_build(rollouts, output, wanted, kept_in, overwrite, llm_framework, model))
    _report(result, output)


async def _build(
    rollouts: tuple[Path, ...],
    output: Path,
    parameters: "PipelineParameters",
    stages_dir: Path,
    overwrite: bool,
    framework: str | None,
    model: dict[str, Any],
) -> "PipelineResult":
    from taxonomy.building.pipeline import build_directory

    backend, cache = _backend(parameters, framework, model, stages_dir)
    try:
        if backend is not None:
            await backend.check_model()
        return await build_directory(
            rollouts,
            output,
            parameters,
            backend=backend,
            stages_dir=stages_dir,
            overwrite=overwrite,
            on_stage=_stage_reporter(),
            say=lambda text: _say(text, err=True),
        )
    finally:
        if backend is not None:
            for note in backend.notes:
                _say(f"note: {note}", err=True)
            for role, spent in backend.meter.by_role.items():
                tokens = f"{spent.usage.prompt_tokens} tokens in, {spent.usage.completion_tokens} out"
                _say(
                    f"{role}: {spent.replies} replies, {tokens}; {spent.cached_replies} from before", err=True
                )
            await backend.aclose()
        if cache is not None:
            cache.close()


def _stage_reporter() -> "Callable[[StageReport], None]":
    """Says after each stage how long it took; nothing of those that were kept."""
    last = time.monotonic()

    def report(stage: "StageReport") -> None:
        nonlocal last
        now = time.monotonic()
        if not stage.kept:
            _say(f"{stage.name}: {now - last:.1f} s", err=True)
        last = now

    return report


def _backend(
    parameters: "PipelineParameters", framework: str | None, model: dict[str, Any], stages_dir: Path
) -> "tuple[Backend | None, ReplyCache | None]":
    """The model that is asked for, with a cache of its replies; nothing where none is."""
    if not parameters.needs_model or framework is None or model["model_name"] is None:
        return None, None
    from llm_backends import ReplyCache, create_backend

    stages_dir.mkdir(parents=True, exist_ok=True)
    cache = ReplyCache(stages_dir / _REPLIES_FILE)
    try:
        return create_backend(framework, cache=cache, **model), cache
    except BaseException:
        cache.close()
        raise


def _report(result: "PipelineResult", output: Path) -> None:
    if result.built is None:
        _say(f"{output} holds this very taxonomy already: nothing has changed")
        return
    for note in result.notes:
        _say(f"warning: {note}", err=True)
    built = result.built
    made = ", ".join(stage.name for stage in result.stages if not stage.kept)
    kept = ", ".join(stage.name for stage in result.stages if stage.kept)
    _say(f"stages: {made or 'none'} run" + (f"; {kept} kept from before" if kept else ""))
    labels = built.taxonomy.given_labels
    labeled = sum(chunk.given_label is not None for chunk in built.chunks)
    if labels:
        _say(f"{labeled} labeled chunks, {len(labels)} given labels")
    if labeled < len(built.chunks):
        _say(f"{len(built.chunks)} chunks, {len(built.samples)} centroids")
    sizes = ", ".join(str(cut.n_clusters) for cut in built.cuts)
    _say(f"level sizes: {sizes}")
    _say(f"written to {output}")


def _say(text: str, *, err: bool = False) -> None:
    click.echo(visible(text), err=err)
