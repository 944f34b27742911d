"""Tuning a sentence-transformers model to triplets: a plain loop, since the library's own trainer needs more packages.

The loss of a triplet is softplus((cos(anchor, negative) - cos(anchor, positive)) / TEMPERATURE): the cross-entropy of
telling the positive from the negative. Token embeddings stay as they are, and dropout is off, so that seeds of the
triplets decide everything. What a step does mostly shows where it begins: in training, texts are cut to TOKENS tokens.
"""

import shutil
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taxonomy.atomic import make_staging_directory
from taxonomy.embedding.sentences import encoded, load_encoder
from taxonomy.refining.refinement import Refinement, file_hashes
from taxonomy.refining.triplets import Lesson, Triplets

LEARNING_RATE = 5e-5
WARM_UP_SHARE = 0.1
TEMPERATURE = 0.1
TOKENS = 64
_BETWEEN_REPORTS_S = 10.0
_PACKAGES = ("sentence-transformers", "torch", "transformers")


def refine(base: str, model: str, lesson: Lesson, directory: Path, say: Callable[[str], None]) -> Refinement:
    """Tune a model and save it.

    Args:
        base: what the user calls the model.
        model: its directory, or a name on the Hugging Face hub.
        lesson: what it learns.
        directory: where the tuned model goes, whole or not at all; what was there is replaced.
        say: told how far it is.

    Raises:
        BuildError: the model cannot be loaded.
        OSError: the directory cannot be written.
    """
    encoder = load_encoder(model)
    before = triplet_accuracy(encoder, lesson.held_out)
    _train(encoder, lesson.batches, say)
    after = triplet_accuracy(encoder, lesson.held_out)
    _save(encoder, directory)
    notes = lesson.notes
    if before is not None and after is not None:
        notes = (*notes, _comparison(before, after, len(lesson.held_out)))
    return Refinement(
        base=base,
        batches=len(lesson.batches),
        triplets=sum(map(len, lesson.batches)),
        held_out=len(lesson.held_out),
        accuracy_before=before,
        accuracy_after=after,
        files=file_hashes(directory),
        versions={package: version(package) for package in _PACKAGES},
        notes=notes,
    )


def triplet_accuracy(encoder: Any, triplets: Triplets) -> float | None:
    """The share of triplets whose anchor is nearer to the positive; None where there are none."""
    if not len(triplets):
        return None
    vectors = encoded(encoder, triplets.texts)
    anchors, positives, negatives = (vectors[triplets.anchor_positive_negative[:, n]] for n in range(3))
    right = np.einsum("ij,ij->i", anchors, positives - negatives) > 0
    return float(right.mean())


def _comparison(before: float, after: float, count: int) -> str:
    figures = f"{before:.1%} before, {after:.1%} after, of {count} held-out triplets"
    if after > before:
        return f"the refined embedder gets more triplets right: {figures}"
    return (
        f"refining the embedder did not help (triplets right: {figures}); it is used all the same (--refine)"
    )


def _train(encoder: Any, batches: tuple[Triplets, ...], say: Callable[[str], None]) -> None:
    own_length = encoder.max_seq_length
    encoder.max_seq_length = TOKENS if own_length is None else min(TOKENS, own_length)
    encoder.eval()
    for module in encoder.modules():
        if isinstance(module, torch.nn.Embedding):
            module.requires_grad_(False)
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, len(batches)))
    started = reported = time.monotonic()
    for number, batch in enumerate(batches, start=1):
        loss = _loss(encoder, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        if number == len(batches) or time.monotonic() - reported > _BETWEEN_REPORTS_S:
            reported = time.monotonic()
            say(
                f"refining the embedder: batch {number} of {len(batches)}, loss {loss.item():.3f}, "
                f"{reported - started:.0f} s"
            )
    encoder.max_seq_length = own_length


def _loss(encoder: Any, batch: Triplets) -> torch.Tensor:
    features = encoder.preprocess(list(batch.texts))
    on_device = {
        name: value.to(encoder.device) if isinstance(value, torch.Tensor) else value
        for name, value in features.items()
    }
    embedding_BD = torch.nn.functional.normalize(encoder(on_device)["sentence_embedding"].float(), dim=-1)
    cosine_BB = embedding_BD @ embedding_BD.T
    places_T3 = torch.from_numpy(batch.anchor_positive_negative.astype(np.int64)).to(encoder.device)
    anchor_T, positive_T, negative_T = places_T3.unbind(dim=1)
    margin_T = cosine_BB[anchor_T, negative_T] - cosine_BB[anchor_T, positive_T]
    return torch.nn.functional.softplus(margin_T / TEMPERATURE).mean()


def _rate(step: int, steps: int) -> float:
    """Up to 1 over the warm-up, then down to 0, in straight lines."""
    warm_up = max(1.0, WARM_UP_SHARE * steps)
    return min((step + 1) / warm_up, max(0.0, (steps - step) / max(1.0, steps - warm_up)))


def _save(encoder: Any, directory: Path) -> None:
    staging = make_staging_directory(directory)
    try:
        encoder.save_pretrained(str(staging), create_model_card=False, safe_serialization=True)
        # A model that is gone, or half gone, is made again: `Refinement.is_whole`.
        shutil.rmtree(directory, ignore_errors=True)
        staging.rename(directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
