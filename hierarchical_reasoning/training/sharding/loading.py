"""Loading models while a way of sharding is set up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.integrations import deepspeed

_EMPTY_BUT_IN_THE_FIRST = "FSDP_CPU_RAM_EFFICIENT_LOADING"


@contextmanager
def whole_models() -> Iterator[None]:
    """Models that are loaded inside are whole in every process, as the acting planner and the reference must be.

    Once ZeRO 3 or FSDP is set up, transformers loads every model of the process in shards, or empty in all processes
    but the first. The model in training is sharded when it is prepared.
    """
    reference = deepspeed._hf_deepspeed_config_weak_ref
    sharded_loading = reference() if reference is not None else None
    empty = os.environ.pop(_EMPTY_BUT_IN_THE_FIRST, None)
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if sharded_loading is not None:
            deepspeed.set_hf_deepspeed_config(sharded_loading)
        if empty is not None:
            os.environ[_EMPTY_BUT_IN_THE_FIRST] = empty
