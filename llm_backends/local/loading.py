"""A causal language model and its tokenizer, loaded from a folder or by name, and checked before it is
used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import transformers

from llm_backends.errors import BadRequestError, ModelNotFoundError, UnsupportedError
from llm_backends.local.chat import ChatFormat
from llm_backends.local.kv_cache import RowCache
from llm_backends.types import Message

DtypeName = Literal["auto", "bfloat16", "float32"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The parts of a model that the engine calls."""

    body: Callable[..., Any]
    """Tokens to hidden states; the head is applied only where logits are needed."""
    head: Callable[[torch.Tensor], torch.Tensor]
    n_layers: int
    context_length: int | None
    dtype: torch.dtype
    device: torch.device
    chat: ChatFormat
    module: Any
    """The whole model, of which `body` and `head` are parts: what training optimises and saves."""
    tokenizer: Any

    @property
    def head_size(self) -> int | None:
        """Numbers of a key; None where the configuration does not tell."""
        config = self.module.config.get_text_config()
        told: int | None = getattr(config, "head_dim", None)
        width, heads = getattr(config, "hidden_size", None), getattr(config, "num_attention_heads", None)
        return told or (width // heads if width and heads else None)

    def hidden_states(
        self,
        tokens_NT: torch.Tensor,
        positions_NT: torch.Tensor,
        mask_N1TS: torch.Tensor,
        cache: RowCache,
    ) -> torch.Tensor:
        """The last hidden states, (N, T, width); `cache` has been pointed at the rows."""
        output = self.body(
            input_ids=tokens_NT,
            position_ids=positions_NT,
            attention_mask=mask_N1TS,
            past_key_values=cache,
            use_cache=True,
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def save(self, folder: Path, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        """Write a model folder: safetensors, configuration, tokenizer and chat template.

        :param weights: those to write, named as the module's `state_dict()` names them; None: the module's.
        """
        with _no_progress_bars():
            self.module.save_pretrained(folder, state_dict=None if weights is None else dict(weights))
        self.tokenizer.save_pretrained(folder)

    def mask(self, slots_NT: torch.Tensor, key_length: int) -> torch.Tensor:
        """(N, 1, T, key length), to be added to attention scores: a token sees its own slot and those before
        it."""
        keys_S = torch.arange(key_length, device=self.device)
        hidden_N1TS = (keys_S > slots_NT.unsqueeze(-1)).unsqueeze(1)
        return torch.zeros(hidden_N1TS.shape, dtype=self.dtype, device=self.device).masked_fill_(
            hidden_N1TS, float("-inf")
        )


def load_model(
    model_name: str,
    *,
    dtype: DtypeName = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
    flag: str = "--model_name",
) -> LoadedModel:
    """Load a model folder, or a model of that name from the Hugging Face cache or hub.

    Weights are read from safetensors only: a .bin file is a pickle, which can run code when it is read.

    :param dtype: "auto" is bfloat16 on a GPU and on a CPU with instructions for it, else float32.
    :param flag: the one that chose the model, for messages.
    :raises BadRequestError: this machine has no such device.
    :raises ModelNotFoundError: there is no such model, or none with safetensors.
    :raises UnsupportedError: the model cannot be run exactly by this engine, or has no chat template.
    """
    if dtype not in get_args(DtypeName):
        raise BadRequestError(f"dtype is {dtype!r}; allowed are {', '.join(get_args(DtypeName))}")
    target = find_device(device)
    torch_dtype = _dtype(dtype, target)
    is_folder = _check_path(model_name, flag)
    options = {"trust_remote_code": trust_remote_code, "local_files_only": is_folder}
    try:
        with _no_progress_bars():
            tokenizer = transformers.AutoTokenizer.from_pretrained(model_name, **options)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                model_name,
                dtype=torch_dtype,
                attn_implementation="sdpa",
                use_safetensors=True,
                **options,
            )
    except OSError as error:
        raise ModelNotFoundError(
            f"no model could be loaded from {model_name!r}: {error} ({flag} takes a model folder or a "
            "Hugging Face name, with weights in safetensors)"
        ) from error
    except ValueError as error:
        raise UnsupportedError(f"the model {model_name!r} cannot be run by this backend: {error}") from error
    model = model.to(target).eval()
    loaded = LoadedModel(
        body=model.get_decoder(),
        head=model.get_output_embeddings(),
        n_layers=model.config.num_hidden_layers,
        context_length=getattr(model.config, "max_position_embeddings", None),
        dtype=torch_dtype,
        device=target,
        chat=ChatFormat(tokenizer, _eos_ids(model, tokenizer), model_name, flag=flag),
        module=model,
        tokenizer=tokenizer,
    )
    _check_attention(model.config, model_name)
    _check_forward(model, loaded, model_name)
    return loaded


def find_device(name: str) -> torch.device:
    """The device of that name; "auto" is an NVIDIA GPU where there is one, else the CPU.

    :raises BadRequestError: this machine has no such device, or the installed torch cannot use it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there_are = _devices()
    advice = f"give one of {', '.join(('auto', *there_are))} (--device)"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadRequestError(f"device is {name!r}, which names none; {advice}") from error
    if device.type != "cpu" and str(device) not in there_are:
        raise BadRequestError(
            f"device is {name!r}, and torch {torch.__version__} finds no such device here; {advice}"
        )
    return device


def _devices() -> tuple[str, ...]:
    """What `find_device` takes on this machine."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return ("cpu",)
    numbered = (f"{accelerator.type}:{index}" for index in range(torch.accelerator.device_count()))
    return ("cpu", accelerator.type, *numbered)


def _check_path(model_name: str, flag: str) -> bool:
    """Whether the name is a folder; a path that is no model folder is an error, not a name to look for on the
    hub."""
    path = Path(model_name)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelNotFoundError(f"{model_name!r} is no model folder: it has no config.json ({flag})")
        _check_weight_files(path, flag)
        return True
    if path.exists() or path.is_absolute() or model_name.startswith((".", "~")) or model_name.count("/") > 1:
        raise ModelNotFoundError(f"{model_name!r} is no model folder ({flag})")
    return False


def _check_weight_files(folder: Path, flag: str) -> None:
    pickled = sorted(entry.name for entry in folder.glob("*.bin"))
    if pickled and not any(folder.glob("*.safetensors")):
        raise ModelNotFoundError(
            f"{str(folder)!r} has weights only as {', '.join(pickled[:3])}; a .bin file can run code when it "
            f"is read, so weights are read from safetensors only: convert them with save_pretrained ({flag})"
        )


def _dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    if name == "auto":
        if device.type == "cpu":
            capabilities = torch.cpu.get_capabilities()
            fast = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
        else:
            fast = True
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Where generation stops: the generation config's end tokens, and the tokenizer's."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(int(token) for token in (*ids, tokenizer.eos_token_id) if token is not None)


def _check_attention(config: Any, model_name: str) -> None:
    layer_types = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    if not layer_types and window is not None and window < config.max_position_embeddings:
        layer_types = {"sliding_attention"}
    if not layer_types <= {"full_attention"}:
        raise UnsupportedError(
            f"{model_name!r} has layers of type {', '.join(sorted(layer_types - {'full_attention'}))}; the "
            "local backend runs models with full attention only; serve this one with vLLM"
        )


@torch.inference_mode()
def _check_forward(model: Any, loaded: LoadedModel, model_name: str) -> None:
    """Compare body, cache and head on a few tokens with the whole model: some models change their logits
    after the head, or attend in a way that masks and position ids do not reach, and would give wrong text
    without an error."""
    probe = loaded.chat.prompt_ids([Message("user", "What is 2 + 3?")])[-16:]
    tokens_NT = torch.tensor([probe], device=loaded.device)
    slots_NT = torch.arange(len(probe), device=loaded.device).unsqueeze(0)
    cache = RowCache(loaded.n_layers, max_rows=1, device=loaded.device)
    hidden = []
    for part in (slice(0, len(probe) - 1), slice(len(probe) - 1, len(probe))):
        cache.point_at(0, slots_NT[:, part], part.stop)
        mask = loaded.mask(slots_NT[:, part], part.stop)
        hidden.append(loaded.hidden_states(tokens_NT[:, part], slots_NT[:, part], mask, cache))
    ours = loaded.head(torch.cat(hidden, dim=1)).float()
    theirs = model(input_ids=tokens_NT, use_cache=False).logits.float()
    tolerance = 1e-3 if loaded.dtype == torch.float32 else 5e-2
    scale = theirs.abs().max().clamp(min=1.0)
    if not torch.allclose(ours / scale, theirs / scale, rtol=0.0, atol=tolerance):
        raise UnsupportedError(
            f"{model_name!r} cannot be run by the local backend: its logits differ from those of its body "
            f"and head by {float((ours - theirs).abs().max()):.2g}; serve it with vLLM"
        )


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """A library prints nothing; transformers shows a bar while it loads weights."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
