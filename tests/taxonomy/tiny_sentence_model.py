"""A sentence-transformers model made on the spot: random weights, a vocabulary of the words it is given."""

from collections.abc import Iterable
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizerFast


def save_tiny_model(directory: Path, texts: Iterable[str]) -> Path:
    bert = directory / "bert"
    bert.mkdir(parents=True)
    words = sorted({word.strip(".,:").casefold() for text in texts for word in text.split()} | set(".,:"))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (bert / "vocab.txt").write_text("\n".join(vocabulary))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(
            BertConfig(
                vocab_size=len(vocabulary),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=64,
            )
        )
    model.save_pretrained(bert)
    BertTokenizerFast(str(bert / "vocab.txt")).save_pretrained(bert)
    layers = Transformer(str(bert), max_seq_length=32)
    pooling = Pooling(32)
    saved = directory / "sentences"
    SentenceTransformer(modules=[layers, pooling], device="cpu").save_pretrained(
        str(saved), create_model_card=False
    )
    return saved
