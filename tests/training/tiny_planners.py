"""Random planners of many kinds: each way that a tokenizer cuts text, with architectures that differ in how they norm,
place and attend."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

END_OF_TURN = "<|im_end|>"
_SPECIAL = ("<unk>", "<pad>", "<|im_start|>", END_OF_TURN)
_OPENED = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
_TURN = "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
GROWS = "{% for message in messages %}" + _TURN + "{% endfor %}" + _OPENED
"""A chat template under which the prompts of a conversation extend each other."""
FORGETS = "{% for message in messages[-2:] %}" + _TURN + "{% endfor %}" + _OPENED
"""One that drops all but the last turns, so that no prompt extends another."""

LABELS = (
    "Check",
    "check",
    "Check.",
    "Checks",
    "Check the",
    "Check the king",
    "Überprüfe",
    "Überprüfe es",
    "检查",
    "检查国王",
    "Finish thinking",
)
"""Some begin others, some differ by case or by a last character, some are not ASCII."""
_TEXTS = (*LABELS, "Which comes next? Follow it. The sum of two numbers and the king, step 0123456789, user.")


def _trained(tokenizer: Tokenizer, trainer: trainers.Trainer) -> Tokenizer:
    tokenizer.train_from_iterator(_TEXTS, trainer)
    return tokenizer


def _byte_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _trained(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=300, special_tokens=[*_SPECIAL], initial_alphabet=alphabet, show_progress=False
        ),
    )


def _metaspace() -> Tokenizer:
    """As sentencepiece cuts: a space belongs to the word behind it, and unknown characters fall back to bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    as_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    return _trained(
        tokenizer,
        trainers.BpeTrainer(vocab_size=400, special_tokens=[*_SPECIAL, *as_bytes], show_progress=False),
    )


def _characters() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return _trained(tokenizer, trainers.WordLevelTrainer(special_tokens=[*_SPECIAL], show_progress=False))


def _wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _trained(
        tokenizer, trainers.WordPieceTrainer(vocab_size=160, special_tokens=[*_SPECIAL], show_progress=False)
    )


def _lowercase_wordpiece() -> Tokenizer:
    tokenizer = _wordpiece()
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    return tokenizer


def _ignorant() -> Tokenizer:
    """One that knows no word at all."""
    vocabulary = {token: index for index, token in enumerate(_SPECIAL)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


TOKENIZERS = {
    "byte_bpe": _byte_bpe,
    "metaspace": _metaspace,
    "characters": _characters,
    "wordpiece": _wordpiece,
    "lowercase_wordpiece": _lowercase_wordpiece,
    "ignorant": _ignorant,
}

_ROOM = {"max_position_embeddings": 1024, "initializer_range": 0.2}
_GROUPED = _ROOM | {"intermediate_size": 48, "num_key_value_heads": 2}
ARCHITECTURES = {
    "llama": (transformers.LlamaConfig, _GROUPED),
    "qwen2": (transformers.Qwen2Config, _GROUPED),
    "qwen3": (transformers.Qwen3Config, _GROUPED | {"head_dim": 8}),
    "gemma": (transformers.GemmaConfig, _GROUPED | {"head_dim": 8}),
    "gpt_neox": (
        transformers.GPTNeoXConfig,
        _ROOM | {"intermediate_size": 48, "hidden_dropout": 0.3, "attention_dropout": 0.3},
    ),
    "opt": (
        transformers.OPTConfig,
        {
            "max_position_embeddings": 1024,
            "init_std": 0.2,
            "ffn_dim": 48,
            "word_embed_proj_dim": 24,
            "dropout": 0.3,
            "attention_dropout": 0.3,
            "layerdrop": 0.3,
        },
    ),
}


def save_planner(
    folder: Path, *, tokenizer: str = "byte_bpe", architecture: str = "gpt_neox", template: str = GROWS
) -> Path:
    """A model folder; of `TOKENIZERS` and `ARCHITECTURES`."""
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=TOKENIZERS[tokenizer](),
        unk_token="<unk>",
        pad_token="<pad>",
        eos_token=END_OF_TURN,
        chat_template=template,
    )
    fast.save_pretrained(folder)
    kind, settings = ARCHITECTURES[architecture]
    config = kind(
        vocab_size=len(fast),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=None,
        eos_token_id=fast.convert_tokens_to_ids(END_OF_TURN),
        pad_token_id=fast.pad_token_id,
        **settings,
    )
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
