from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_model import save_model, save_tokenizer

from llm_backends import BadRequestError, Message, ModelNotFoundError, UnsupportedError
from llm_backends.local import LocalBackend
from llm_backends.local.loading import find_device, load_model


@pytest.mark.parametrize("name", ["no/such/folder", "./none", "/none"])
def test_a_path_without_a_model_is_not_looked_for_elsewhere(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="--model_name"):
        load_model(name)


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"config\.json"):
        load_model(str(tmp_path))
    save_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text(transformers.Qwen2Config().to_json_string())
    with pytest.raises(ModelNotFoundError, match="no model could be loaded"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00001.bin"])
def test_pickled_weights_are_not_read(tmp_path: Path, name: str) -> None:
    save_model(tmp_path)
    save_tokenizer(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / name)
    with pytest.raises(ModelNotFoundError, match=rf"{name}; .* safetensors only"):
        load_model(str(tmp_path))
    # Other safetensors beside them do not make the pickle readable.
    save_file({"a": torch.zeros(1)}, tmp_path / "adapter_weights.safetensors")
    with pytest.raises(ModelNotFoundError, match="with weights in safetensors"):
        load_model(str(tmp_path))


def test_a_tokenizer_without_a_chat_template_is_an_error(tmp_path: Path) -> None:
    save_model(tmp_path)
    save_tokenizer(tmp_path, chat_template=None)
    with pytest.raises(UnsupportedError, match="no chat template"):
        load_model(str(tmp_path))


def test_a_window_over_the_past_is_an_error(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    save_model(tmp_path, use_sliding_window=True, sliding_window=16, max_window_layers=1)
    with pytest.raises(UnsupportedError, match="sliding_attention"):
        load_model(str(tmp_path))


def test_logits_changed_after_the_head_are_an_error(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    config = transformers.GraniteConfig(
        vocab_size=384,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.3,
        logits_scaling=8.0,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    transformers.GraniteForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedError, match="logits differ"):
        load_model(str(tmp_path))


def test_unknown_settings_are_refused(chat_model: Path) -> None:
    with pytest.raises(BadRequestError, match="dtype is 'float8'"):
        load_model(str(chat_model), dtype="float8")  # type: ignore[arg-type]
    with pytest.raises(BadRequestError, match="device is 'gpu', which names none; give one of auto, cpu"):
        load_model(str(chat_model), device="gpu")


@pytest.mark.parametrize("device", ["cuda:99", "xpu:7", "mps:3"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_loaded(device: str) -> None:
    said = rf"device is '{device}', and torch \S+ finds no such device here; .*cpu.* \(--device\)"
    with pytest.raises(BadRequestError, match=said):
        load_model("no/model", device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadRequestError, match="device is 'cuda', and torch"):
        find_device("cuda")


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "auto"])
def test_a_device_that_is_there_is_found(name: str) -> None:
    assert torch.zeros(1, device=find_device(name)).sum() == 0


def test_messages_name_the_flag_that_chose_the_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"is no model folder.*\(--planner_model_name\)"):
        load_model(str(tmp_path), flag="--planner_model_name")
    with pytest.raises(ModelNotFoundError, match=r"is no model folder.*\(--reasoning_model_name\)"):
        LocalBackend(tmp_path, model_flag="--reasoning_model_name")


def test_what_the_chat_format_writes(chat_model: Path) -> None:
    model = load_model(str(chat_model), dtype="float32", device="cpu")
    chat = model.chat
    tokenizer = transformers.AutoTokenizer.from_pretrained(chat_model)
    assert chat.end_of_turn_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert chat.option_ids("Check") == [*tokenizer("Check")["input_ids"], chat.end_of_turn_id]
    assert chat.text(chat.option_ids("Check the ♚ .")) == "Check the ♚ ."
    assert chat.token_text(chat.end_of_turn_id) == "<|im_end|>"
    ids = chat.prompt_ids([Message("user", "a")])
    assert tokenizer.decode(ids) == "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
    assert model.context_length == 256


def test_a_conversation_that_the_template_refuses_is_a_bad_request(tmp_path: Path) -> None:
    save_model(tmp_path)
    save_tokenizer(
        tmp_path,
        chat_template="{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% for message in messages %}{{ message['content'] }}<|im_end|>{% endfor %}",
    )
    chat = load_model(str(tmp_path), dtype="float32").chat
    with pytest.raises(BadRequestError, match="system, user: no system"):
        chat.prompt_ids([Message("system", "a"), Message("user", "b")])
