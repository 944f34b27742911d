"""The local backend against transformers' own generation and forward pass, on a tiny random model."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_model import save_model, save_tokenizer

from llm_backends import (
    BackendClosedError,
    BadRequestError,
    Completion,
    ContextLengthError,
    FinishReason,
    Message,
    Request,
    Sampling,
    UnsupportedError,
    Usage,
)
from llm_backends.local import LocalBackend
from llm_backends.local import backend as backend_module
from llm_backends.local import batch as batch_module
from llm_backends.local.loading import DtypeName

GREEDY = Sampling(temperature=0.0, max_tokens=24)
WORDS = ("check", "the", "king", "and", "compute", "a", "sum", "of", "two", "numbers", "then", "compare")
# They share beginnings in two branches, some begin others, and one stands apart.
OPTIONS = (
    "Check",
    "Check the",
    "Check the king",
    "Check whether",
    "Compute",
    "Compute the sum",
    "Finish thinking",
)


def question(index: int, length: int | None = None) -> tuple[Message, ...]:
    words = random.Random(index)
    return (Message("user", " ".join(words.choice(WORDS) for _ in range(length or 3 + 5 * index % 60))),)


@pytest.fixture(scope="module")
def reference(chat_model: Path) -> tuple[Any, Any]:
    """The same model and its tokenizer, as transformers runs them."""
    model = transformers.AutoModelForCausalLM.from_pretrained(chat_model, dtype=torch.float32)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(chat_model)


@pytest.fixture
async def backend(chat_model: Path) -> AsyncIterator[LocalBackend]:
    async with LocalBackend(chat_model, dtype="float32") as backend:
        yield backend


def prompt_ids(tokenizer: Any, messages: tuple[Message, ...]) -> list[int]:
    turns = [{"role": message.role, "content": message.content} for message in messages]
    ids: list[int] = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    return ids


@torch.inference_mode()
def logits_after(model: Any, ids: list[int]) -> torch.Tensor:
    logits: torch.Tensor = model(torch.tensor([ids])).logits[0, -1].double()
    return logits


def generate(reference: tuple[Any, Any], messages: tuple[Message, ...], max_tokens: int) -> tuple[str, int]:
    model, tokenizer = reference
    ids = torch.tensor([prompt_ids(tokenizer, messages)])
    with torch.inference_mode():
        output = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_tokens
        )
    new = output[0, ids.shape[1] :].tolist()
    written = new[:-1] if new[-1] in model.generation_config.eos_token_id else new
    return tokenizer.decode(written, skip_special_tokens=True), len(new)


async def complete_all(backend: LocalBackend, requests: list[Request]) -> list[Completion]:
    completions = await asyncio.gather(*(backend.complete(request) for request in requests))
    return [replace(completion, latency_s=0.0) for completion in completions]


async def test_greedy_replies_are_those_of_transformers(
    backend: LocalBackend, reference: tuple[Any, Any]
) -> None:
    requests = [Request(question(index), GREEDY) for index in range(20)]
    reasons = set()
    for request, completion in zip(requests, await complete_all(backend, requests), strict=True):
        text, n_tokens = generate(reference, request.messages, GREEDY.max_tokens)
        assert (completion.text, completion.usage.completion_tokens) == (text, n_tokens)
        reasons.add(completion.finish_reason)
        if n_tokens < GREEDY.max_tokens:
            assert completion.finish_reason is FinishReason.STOP
    assert reasons == {FinishReason.STOP, FinishReason.LENGTH}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_what_else_is_in_flight_changes_nothing(chat_model: Path, temperature: float) -> None:
    requests = [
        Request(question(index), Sampling(temperature, max_tokens=5 + index % 17, top_p=0.95), logprobs=1)
        for index in range(40)
    ]
    requests[::7] = [replace(request, choices=OPTIONS, logprobs=None) for request in requests[::7]]
    runs = []
    for max_batch_size in (1, 20, 64):
        async with LocalBackend(chat_model, dtype="float32", max_batch_size=max_batch_size) as backend:
            runs.append(await complete_all(backend, requests))
    # Not only the text: probabilities to the last bit.
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
async def test_what_needs_more_keys_changes_nothing_for_what_needs_fewer(
    tmp_path: Path, dtype: DtypeName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On some CPUs 200 keys are summed otherwise when 400 are there."""
    awaited, step = 1, batch_module.Batch.step

    def step_when_all_are_there(batch: batch_module.Batch) -> Any:
        return step(batch) if len(batch._waiting) == awaited else []

    monkeypatch.setattr(batch_module.Batch, "step", step_when_all_are_there)
    save_tokenizer(tmp_path)
    save_model(tmp_path, width=128, max_position_embeddings=1024, initializer_range=0.1)
    asked = [Request(question(index, 140 + 10 * index), choices=OPTIONS) for index in range(8)]
    longer = Request(question(0, 230), choices=OPTIONS)
    async with LocalBackend(tmp_path, dtype=dtype) as backend:
        for one in asked:
            awaited = 1
            (alone,) = await complete_all(backend, [one])
            awaited = 2
            beside, _ = await complete_all(backend, [one, longer])  # in one pass
            assert beside == alone


async def test_logprobs_are_the_models_own(backend: LocalBackend, reference: tuple[Any, Any]) -> None:
    model, tokenizer = reference
    request = Request(question(1), Sampling(temperature=0.7, max_tokens=6), logprobs=3)
    completion = await backend.complete(request)
    assert completion.token_logprobs is not None
    assert len(completion.token_logprobs) == completion.usage.completion_tokens
    ids = prompt_ids(tokenizer, request.messages)
    first = logits_after(model, ids).log_softmax(-1)
    top = first.topk(3)
    assert [text for text, _ in completion.token_logprobs[0].top] == [
        tokenizer.decode([i]) for i in top.indices
    ]
    assert [value for _, value in completion.token_logprobs[0].top] == pytest.approx(
        top.values.tolist(), abs=1e-4
    )
    assert completion.token_logprobs[0].logprob == pytest.approx(
        max(
            float(first[i])
            for i in range(len(first))
            if tokenizer.decode([i]) == completion.token_logprobs[0].token
        ),
        abs=1e-4,
    )


async def test_samples_differ_and_can_be_drawn_again(backend: LocalBackend) -> None:
    base = Request(question(2), Sampling(temperature=1.0, max_tokens=12))
    requests = [replace(base, sample_index=index) for index in range(8)]
    texts = [completion.text for completion in await complete_all(backend, requests)]
    assert len(set(texts)) == 8
    assert [completion.text for completion in await complete_all(backend, requests)] == texts
    reseeded = replace(base, sampling=replace(base.sampling, seed=1))
    assert (await backend.complete(reseeded)).text not in texts


async def test_a_trace_is_continued_from_what_was_computed(chat_model: Path) -> None:
    """A conversation of three turns, each a choice and a thought, with prefixes kept and without."""
    runs: list[list[Completion]] = []
    for reuse in (True, False):
        completions: list[Completion] = []
        async with LocalBackend(chat_model, dtype="float32", reuse_prefix=reuse) as backend:
            messages = question(3)
            for _ in range(3):
                sampling = Sampling(temperature=1.0, max_tokens=8)
                choice = await backend.complete(Request(messages, sampling, choices=OPTIONS, trace_id="t"))
                messages = (*messages, Message("assistant", choice.text), Message("user", "go on"))
                thought = await backend.complete(Request(messages, sampling, trace_id="t"))
                messages = (*messages, Message("assistant", thought.text), Message("user", "next"))
                completions += [choice, thought]
        runs.append(completions)
    kept, fresh = runs
    assert [each.text for each in kept] == [each.text for each in fresh]
    for a, b in zip(kept, fresh, strict=True):
        assert a.usage == replace(b.usage, cached_tokens=a.usage.cached_tokens)
        if a.choice_probabilities is not None and b.choice_probabilities is not None:
            assert a.choice_probabilities == pytest.approx(b.choice_probabilities, abs=1e-4)
    assert {each.usage.cached_tokens for each in fresh} == {0}
    assert kept[0].usage.cached_tokens == 0
    for before, after in pairwise(kept):
        assert after.usage.cached_tokens >= before.usage.prompt_tokens - 1


async def test_the_same_question_again_computes_one_token(backend: LocalBackend) -> None:
    request = Request(question(4), GREEDY, trace_id="t")
    first, again = await backend.complete(request), await backend.complete(request)
    assert (first.text, first.usage.cached_tokens) == (again.text, 0)
    assert again.usage.cached_tokens == again.usage.prompt_tokens - 1


def enumerate_policy(reference: tuple[Any, Any], messages: tuple[Message, ...]) -> dict[str, float]:
    model, tokenizer = reference
    end = tokenizer.eos_token_id
    sequences = {option: (*tokenizer(option)["input_ids"], end) for option in OPTIONS}
    prompt = prompt_ids(tokenizer, messages)
    policy = {}
    for option, sequence in sequences.items():
        log_prob = 0.0
        for depth, token in enumerate(sequence):
            before = sequence[:depth]
            open_tokens = sorted({other[depth] for other in sequences.values() if other[:depth] == before})
            logits = logits_after(model, [*prompt, *before])
            log_prob += float(logits[token] - logits[open_tokens].logsumexp(0))
        policy[option] = math.exp(log_prob)
    return policy


@pytest.mark.parametrize("whole_blocks", [False, True])
@pytest.mark.parametrize("pass_size", [1024, 16, 5])
async def test_choices_have_the_probabilities_of_the_definition(
    chat_model: Path,
    reference: tuple[Any, Any],
    pass_size: int,
    whole_blocks: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backend_module, "_MAX_PREFILL_TOKENS", pass_size)
    monkeypatch.setattr(batch_module, "keys_are_summed_alike", lambda *given, **more: not whole_blocks)
    async with LocalBackend(chat_model, dtype="float32") as backend:
        requests = [Request(question(index), choices=OPTIONS) for index in range(6)]
        completions = await complete_all(backend, requests)
    for request, completion in zip(requests, completions, strict=True):
        assert completion.choice_probabilities is not None
        assert sum(completion.choice_probabilities.values()) == pytest.approx(1.0, abs=1e-9)
        expected = enumerate_policy(reference, request.messages)
        assert dict(completion.choice_probabilities) == pytest.approx(expected, abs=1e-5)
        assert completion.finish_reason is FinishReason.CHOICE
        assert completion.text in OPTIONS


async def test_choices_are_sampled_from_their_probabilities(backend: LocalBackend) -> None:
    base = Request(question(5), Sampling(temperature=1.0), choices=OPTIONS)
    completions = await complete_all(backend, [replace(base, sample_index=index) for index in range(400)])
    policy = completions[0].choice_probabilities
    assert policy is not None
    for option, probability in policy.items():
        share = sum(completion.text == option for completion in completions) / len(completions)
        assert abs(share - probability) < 4 * math.sqrt(probability * (1 - probability) / 400) + 1e-3
    surest = await backend.complete(replace(base, sampling=Sampling(temperature=0.0)))
    assert surest.text == max(policy, key=lambda option: policy[option])


@pytest.mark.parametrize("whole_blocks", [False, True])
async def test_a_long_prompt_is_fed_in_parts_while_others_write(
    chat_model: Path, reference: tuple[Any, Any], whole_blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_module, "_MAX_PREFILL_TOKENS", 16)
    monkeypatch.setattr(batch_module, "keys_are_summed_alike", lambda *given, **more: not whole_blocks)
    lengths = (3, 70, 5, 90, 4)
    requests = [
        Request(question(index, length), replace(GREEDY, max_tokens=4 + 3 * index))
        for index, length in enumerate(lengths)
    ]
    async with LocalBackend(chat_model, dtype="float32", max_batch_size=3) as backend:
        completions = await complete_all(backend, requests)
    for request, completion in zip(requests, completions, strict=True):
        text, n_tokens = generate(reference, request.messages, request.sampling.max_tokens)
        assert (completion.text, completion.usage.completion_tokens) == (text, n_tokens)


async def test_stop_strings_end_the_reply_before_them(backend: LocalBackend) -> None:
    whole = await backend.complete(Request(question(6), GREEDY))
    assert len(whole.text) > 8
    stop = whole.text[4:7]
    cut = await backend.complete(Request(question(6), replace(GREEDY, stop=("not in it", stop))))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason is FinishReason.STOP
    assert cut.usage.completion_tokens < whole.usage.completion_tokens


async def test_the_end_of_the_context_ends_the_reply(endless_model: Path) -> None:
    async with LocalBackend(endless_model, dtype="float32") as backend:
        assert backend.context_length == 256
        completion = await backend.complete(Request(question(7, 75), replace(GREEDY, max_tokens=500)))
    assert completion.finish_reason is FinishReason.LENGTH
    assert completion.usage.prompt_tokens + completion.usage.completion_tokens == 256


async def test_a_prompt_without_room_for_a_reply_is_an_error(backend: LocalBackend) -> None:
    with pytest.raises(ContextLengthError, match="holds 256"):
        await backend.complete(Request(question(0, 400)))
    messages = (Message("user", "a" * 230),)
    room = 256 - backend.count_tokens(messages)
    assert room > 0
    await backend.complete(Request(messages, replace(GREEDY, max_tokens=1)))
    with pytest.raises(ContextLengthError, match="the reply needs"):
        await backend.complete(Request(messages, choices=("b" * room, "c")))


async def test_count_tokens_is_what_a_request_is_charged(backend: LocalBackend) -> None:
    messages = (Message("system", "Compute."), *question(8), Message("assistant", "a"), Message("user", "b"))
    completion = await backend.complete(Request(messages, replace(GREEDY, max_tokens=1)))
    assert completion.usage == Usage(backend.count_tokens(messages), 0, 1)
    assert backend.count_tokens(messages, completion=False) < backend.count_tokens(messages)


async def test_a_choice_is_charged_its_label_and_its_end(backend: LocalBackend) -> None:
    completion = await backend.complete(Request(question(8), choices=("Finish thinking",)))
    assert completion.choice_probabilities == {"Finish thinking": 1.0}
    assert completion.usage.completion_tokens == len(backend._model.chat.option_ids("Finish thinking"))


async def test_weights_of_another_model_are_refused(backend: LocalBackend) -> None:
    request = Request(question(9), GREEDY)
    before = await backend.complete(request)
    fitting = {name: torch.zeros_like(own) for name, own in backend._model.module.state_dict().items()}
    norm = "model.norm.weight"
    bad: dict[str, dict[str, torch.Tensor]] = {
        f"{norm} is missing": {name: own for name, own in fitting.items() if name != norm},
        "other is not in the model": fitting | {"other": torch.zeros(1)},
        rf"{norm} has the shape \(3,\), the model's has \(64,\)": fitting | {norm: torch.zeros(3)},
        "; and [0-9]+ more differences": {},
    }
    for message, state_dict in bad.items():
        with pytest.raises(BadRequestError, match=message):
            backend.refresh(state_dict.items())
        with pytest.raises(BackendClosedError):
            await backend.complete(request)
    backend.refresh(fitting.items())
    assert (await backend.complete(request)).text != before.text


async def test_what_it_cannot_do_it_refuses(backend: LocalBackend, chat_model: Path) -> None:
    class Anything(transformers.utils.ModelOutput):  # type: ignore[misc]
        pass

    with pytest.raises(UnsupportedError, match="a schema"):
        await backend.complete(Request(question(0), schema=Anything))
    with pytest.raises(BadRequestError, match="max_batch_size is 0"):
        LocalBackend(chat_model, max_batch_size=0)


async def test_bfloat16_runs_and_does_not_depend_on_what_is_in_flight(chat_model: Path) -> None:
    requests = [Request(question(index), Sampling(1.0, max_tokens=10), logprobs=0) for index in range(20)]
    runs = []
    for max_batch_size in (1, 20):
        async with LocalBackend(chat_model, dtype="bfloat16", max_batch_size=max_batch_size) as backend:
            runs.append(await complete_all(backend, requests))
    assert runs[0] == runs[1]
