"""What is decided before anything is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backends import BadRequestError, UnsupportedError
from llm_backends.vllm_server import ServerOptions, parse_gpus
from llm_backends.vllm_server.hardware import Hardware, this_machine
from llm_backends.vllm_server.plan import LaunchPlan, check_has_vllm, name_in_file, plan_launch
from llm_backends.vllm_server.plugins import ADAPTIVE_TEMPERATURE, FOLDER

FOUR_GPUS = Hardware(gpus=4)


def planned(
    hardware: Hardware = FOUR_GPUS,
    environment: dict[str, str] | None = None,
    model: str = "Qwen/QwQ-32B-Preview",
    **options: object,
) -> LaunchPlan:
    return plan_launch(model, 8001, ServerOptions(**options), hardware, environment or {})  # type: ignore[arg-type]


def flag(plan: LaunchPlan, name: str) -> str | None:
    return plan.command[plan.command.index(name) + 1] if name in plan.command else None


@pytest.mark.parametrize(
    ("there", "visible", "asked", "gpus"),
    [
        (4, None, None, "0,1"),
        (1, None, None, "0"),
        (4, None, "2,3", "2,3"),
        (4, "1,2,3", None, "1,2,3"),
        (4, "3", "0", "0"),
        (4, "GPU-8a5c,GPU-77b1", None, "GPU-8a5c,GPU-77b1"),
    ],
)
def test_gpus(there: int, visible: str | None, asked: str | None, gpus: str) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    plan = planned(Hardware(there), environment, gpus=None if asked is None else parse_gpus(asked))
    assert plan.environment["CUDA_VISIBLE_DEVICES"] == gpus
    assert flag(plan, "--tensor-parallel-size") == str(len(gpus.split(",")))
    assert "VLLM_CPU_KVCACHE_SPACE" not in plan.environment
    assert bool(plan.notes) == (asked is None), "what was not asked for is said"


def test_without_gpus_it_runs_on_the_cpu_and_says_so() -> None:
    plan = planned(Hardware(gpus=0, cpu_has_bfloat16=False, memory_gib=8), {"CUDA_VISIBLE_DEVICES": "0"})
    assert plan.gpus == ()
    assert plan.environment["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert flag(plan, "--dtype") == "float32"
    assert flag(plan, "--tensor-parallel-size") is None
    assert [word in " ".join(plan.notes) for word in ("CPU", "2 GiB", "float32")] == [True] * 3


def test_what_is_set_for_the_cpu_stays() -> None:
    plan = planned(
        Hardware(gpus=0, cpu_has_bfloat16=False), {"VLLM_CPU_KVCACHE_SPACE": "9"}, dtype="bfloat16"
    )
    assert plan.environment["VLLM_CPU_KVCACHE_SPACE"] == "9"
    assert flag(plan, "--dtype") == "bfloat16"


@pytest.mark.parametrize(("memory", "cache"), [(2, 1), (16, 4), (1000, 4)])
def test_cache_on_the_cpu_has_bounds(memory: int, cache: int) -> None:
    assert Hardware(0, memory_gib=memory).cpu_cache_gib == cache


def test_loopback_and_no_foreign_code_unless_asked() -> None:
    assert flag(planned(), "--host") == "127.0.0.1"
    assert "--trust-remote-code" not in planned().command
    assert "--trust-remote-code" in planned(trust_remote_code=True).command


def test_all_options_reach_vllm() -> None:
    plan = planned(
        max_model_len=8192, gpu_memory_utilization=0.8, dtype="float16", data_parallel_size=2, gpus=("0", "1")
    )
    *with_values, last = [name for name in plan.command if name.startswith("--")]
    assert last == "--enable-prompt-tokens-details"
    given_to_vllm = {name: flag(plan, name) for name in with_values}
    assert given_to_vllm == {
        "--model": "Qwen/QwQ-32B-Preview",
        "--served-model-name": "Qwen/QwQ-32B-Preview",
        "--host": "127.0.0.1",
        "--port": "8001",
        "--tensor-parallel-size": "1",
        "--data-parallel-size": "2",
        "--max-model-len": "8192",
        "--dtype": "float16",
        "--gpu-memory-utilization": "0.8",
    }


def test_on_a_cpu_prompts_are_not_split_unless_that_is_asked_for() -> None:
    cpu = Hardware(gpus=0)
    plan = planned(hardware=cpu)
    assert "--no-enable-chunked-prefill" in plan.command
    assert any("chunked prefill is off" in note for note in plan.notes)
    asked = planned(hardware=cpu, arguments=("--enable-chunked-prefill",)).command
    assert "--no-enable-chunked-prefill" not in asked
    assert "--no-enable-chunked-prefill" not in planned(gpus=("0",)).command


@pytest.mark.parametrize(("path", "expected"), [(None, str(FOLDER)), ("/a:/b", f"{FOLDER}:/a:/b")])
def test_the_adaptive_temperature_is_found_and_sees_raw_logits(path: str | None, expected: str) -> None:
    environment = {} if path is None else {"PYTHONPATH": path}
    plan = planned(environment=environment, arguments=("--logits-processors", ADAPTIVE_TEMPERATURE))
    assert plan.environment["PYTHONPATH"] == expected
    assert plan.environment["VLLM_USE_V2_MODEL_RUNNER"] == "0"
    assert "VLLM_USE_V2_MODEL_RUNNER" in " ".join(plan.notes)
    without = planned(environment=environment)
    assert without.environment.get("PYTHONPATH") == path
    assert "VLLM_USE_V2_MODEL_RUNNER" not in without.environment


def test_further_arguments_come_last() -> None:
    assert planned(arguments=("--swap-space", "4")).command[-2:] == ("--swap-space", "4")


def test_our_own_variables_are_kept_from_vllm() -> None:
    environment = {"VLLM_MODEL": "a", "VLLM_BASE_URL": "b", "VLLM_API_KEY": "c"}
    assert {name for name in planned(environment=environment).environment if name.startswith("VLLM_")} == {
        "VLLM_API_KEY"
    }


def test_a_directory_is_served_under_the_name_it_was_given(place: Path) -> None:
    (place / "my model").mkdir()
    plan = planned(model="my model")
    assert (plan.model, plan.served_model_name) == (str(place / "my model"), "my model")
    assert name_in_file(plan.model) == "my_model"
    assert name_in_file("Qwen/QwQ-32B-Preview") == "Qwen_QwQ-32B-Preview"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpus": ("0", "7")}, "has no 7; there are 0, 1, 2, 3 (--gpus)"),
        ({"gpus": ("0", "1", "2"), "data_parallel_size": 2}, "--data_parallel_size"),
        ({"tensor_parallel_size": 4}, "--tensor_parallel_size"),
        ({"tensor_parallel_size": 2, "data_parallel_size": 2}, "need 4"),
    ],
)
def test_what_does_not_fit_the_machine_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        planned(**options)
    assert said in str(caught.value)


def test_gpus_that_are_asked_for_must_be_there() -> None:
    with pytest.raises(BadRequestError, match="leave --gpus out"):
        planned(Hardware(gpus=0), gpus=("0", "1"))


@pytest.mark.parametrize(
    "options",
    [
        {"port": 0},
        {"port": 65536},
        {"max_model_len": 0},
        {"tensor_parallel_size": -1},
        {"gpu_memory_utilization": 1.5},
        {"dtype": "int3"},
        {"timeout_s": 0.0},
        {"timeout_s": float("nan")},
        {"host": ""},
        {"gpus": ()},
        {"arguments": ("--port=9",)},
        {"arguments": ("--max_model_len", "9")},
        {"arguments": ("-tp", "9")},
        {"arguments": ("--api-key", "secret")},
        {"arguments": ("--hf-token=secret",)},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadRequestError) as caught:
        ServerOptions(**options)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "beyond"),
    [
        ("127.0.0.1", False),
        ("127.8.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("node7", True),
    ],
)
def test_who_can_reach_it(host: str, beyond: bool) -> None:
    assert ServerOptions(host=host).listens_beyond_this_machine == beyond


@given(st.lists(st.integers(0, 99), min_size=1, unique=True))
def test_gpus_are_read_as_written(numbers: list[int]) -> None:
    assert parse_gpus(" , ".join(map(str, numbers))) == tuple(map(str, numbers))


@given(st.text())
def test_what_is_no_list_of_gpus_is_refused(text: str) -> None:
    parts = [part.strip() for part in text.split(",")]
    if len(set(parts)) == len(parts) and all(
        part.isdecimal() or part.startswith(("GPU-", "MIG-")) for part in parts
    ):
        assert parse_gpus(text) == tuple(parts)
    else:
        with pytest.raises(BadRequestError, match="--gpus"):
            parse_gpus(text)


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_gpus_are_counted_by_nvidia_smi(place: Path) -> None:
    script(place / "nvidia-smi", "echo 'GPU 0: H100 (UUID: GPU-1)'; echo 'GPU 1: H100 (UUID: GPU-2)'")
    assert this_machine({"PATH": str(place)}).gpus == 2
    script(place / "nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    assert this_machine({"PATH": str(place)}).gpus == 0


def test_vllm_must_be_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_has_vllm(Path(sys.executable))
    monkeypatch.delenv("PYTHONPATH")
    (place / "vllm").mkdir()  # a directory of that name is no vLLM
    with pytest.raises(UnsupportedError, match="pip install vllm"):
        check_has_vllm(Path(sys.executable))
    with pytest.raises(UnsupportedError, match="--python"):
        check_has_vllm(place / "no-python")


def test_a_server_that_takes_weights_is_another_one() -> None:
    taking = planned(takes_weights=True)
    assert taking.environment["VLLM_SERVER_DEV_MODE"] == "1"
    assert "VLLM_SERVER_DEV_MODE" not in planned().environment
    assert ServerOptions(takes_weights=True).settings() != ServerOptions().settings()
