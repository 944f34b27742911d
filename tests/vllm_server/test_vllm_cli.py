"""The commands, and the scripts that are the same commands, as users run them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hierarchical_reasoning.cli.vllm import vllm
from llm_backends.vllm_server import ServerRegistry
from llm_backends.vllm_server.processes import identity_of
from tests.vllm_server.conftest import child_of, unused_port, wait_until

SCRIPTS = Path(__file__).parents[2] / "runner_scripts"
Fake = Callable[[str], None]


@pytest.fixture(autouse=True)
def no_gpus(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on machines that have some."""
    tools = place / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (tools / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")


def script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPTS / f"{name}.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(vllm, list(map(str, arguments)))


def foreground(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, SCRIPTS / "start_vllm_server.py", "--model", "org/model", "--port", str(port)]
    return subprocess.Popen(
        [*command, "--foreground"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_start_check_and_stop_as_the_guide_has_it(port: int, fake: Fake) -> None:
    fake("child")
    started = script("start_vllm_server", "--model", "org/model", "--port", port, "--max-model-len", 512)
    assert started.returncode == 0, started.stderr
    assert f'export VLLM_BASE_URL="http://127.0.0.1:{port}/v1"' in started.stdout
    assert 'export VLLM_MODEL="org/model"' in started.stdout
    assert re.search(rf"log: +\S+/logs/vllm_server_org_model_{port}_\d+_\d+\.log", started.stdout)
    assert "it runs on the CPU" in started.stderr
    (record,) = ServerRegistry().records()
    assert record.runs, "it goes on when the command is done"

    checked = script("check_vllm_server", "--port", port)
    assert checked.returncode == 0, checked.stdout
    assert "context 512" in checked.stdout
    assert f"ours: port {port}  running  org/model" in checked.stdout

    stopped = script("cleanup_vllm_servers", "--port", port)
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert stopped.stdout.startswith(f"stopped org/model on port {port} ")
    assert identity_of(record.leader.pid) is None
    assert identity_of(child_of(record.log)) is None

    checked = script("check_vllm_server", "--port", port)
    assert checked.returncode == 1
    assert "cannot be reached" in checked.stdout
    assert "Traceback" not in checked.stderr


def test_the_scripts_run_behind_an_ampersand(port: int) -> None:
    command = (
        f'"{sys.executable}" "{SCRIPTS}/start_vllm_server.py" --model org/model --port {port} & wait; echo on'
    )
    shell = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert "vLLM is ready" in shell.stdout
    assert shell.stdout.endswith("on\n")
    assert invoke("check", "--port", port).exit_code == 0
    assert invoke("stop", "--kill-all").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_server_in_the_foreground_ends_with_the_command(
    port: int, fake: Fake, number: signal.Signals
) -> None:
    fake("child")
    with foreground(port) as command:
        assert command.stdout is not None
        lines = []
        while "vLLM is ready" not in (line := command.stdout.readline()):
            assert line, lines
            lines.append(line)
        assert "loading org/model\n" in lines, "the log is shown"
        (record,) = ServerRegistry().records()
        command.send_signal(number)
        rest = command.stdout.read()
    assert command.returncode == 130
    assert "interrupted; the server was stopped" in rest
    assert "Traceback" not in rest
    assert identity_of(record.leader.pid) is None
    assert identity_of(child_of(record.log)) is None
    assert ServerRegistry().records() == ()


def test_an_interrupt_while_it_starts_leaves_nothing(port: int, fake: Fake) -> None:
    fake("slow child")
    with foreground(port) as command:
        assert command.stdout is not None
        while not (line := command.stdout.readline()).startswith("child "):
            assert line
        command.terminate()
        command.stdout.read()
    assert command.returncode == 130
    assert identity_of(int(line.split()[1])) is None
    assert ServerRegistry().records() == ()


def test_a_killed_start_is_found_by_stop(port: int, fake: Fake) -> None:
    fake("slow child")
    with foreground(port) as command:
        assert command.stdout is not None
        while not (line := command.stdout.readline()).startswith("child "):
            assert line
        wait_until(lambda: len(ServerRegistry().records()[0].processes) == 2)
        command.kill()
    (record,) = ServerRegistry().records()
    assert record.runs
    done = invoke("stop", "--port", port, "--grace", 5)
    assert done.output.startswith("stopped org/model")
    assert identity_of(int(line.split()[1])) is None


def test_a_server_that_dies_is_reported_with_its_log(port: int, fake: Fake) -> None:
    fake("die")
    done = script("start_vllm_server", "--model", "org/model", "--port", port)
    assert done.returncode == 1
    assert done.stderr.endswith("  | loading org/model\n  | ValueError: no such architecture\n")
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_the_users_mistake(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        done = invoke("start", "--model", "org/model", "--port", port)
        assert done.exit_code == 2
        assert f"port {port} is in use by something that we did not start" in done.output
        done = invoke("stop", "--port", port)
        assert done.exit_code == 2
        assert "was not started by us, left alone" in done.output
        done = invoke("stop", "--all")
        assert (done.exit_code, done.output) == (0, "no server of ours runs\n")
        with socket.create_connection(("127.0.0.1", port)):
            pass  # still there


@pytest.mark.parametrize("flag", ["--kill-all", "--kill_all", "--all"])
def test_all_of_ours_are_stopped(flag: str) -> None:
    ports = [unused_port(), unused_port()]
    for port in ports:
        assert invoke("start", "--model", f"org/{port}", "--port", port).exit_code == 0
    records = ServerRegistry().records()
    os.kill(records[0].leader.pid, signal.SIGKILL)
    wait_until(lambda: not records[0].runs)
    assert "  stale  " in invoke("check", "--port", records[1].port).output
    done = invoke("stop", flag)
    assert done.exit_code == 0
    assert sorted(line.split()[0] for line in done.output.splitlines()) == ["forgot", "stopped"]
    assert ServerRegistry().records() == ()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stop"], "either --port N, or --kill_all"),
        (["stop", "--port", "1", "--all"], "either --port N, or --kill_all"),
        (["check", "--port", "1", "--base_url", "http://h/v1"], "name two servers"),
        (["check", "--base-url", "h"], "the server's address is 'h'"),
        (["start", "--gpus", "0,0"], "--gpus"),
        (["start", "--gpus", "0,1"], "leave --gpus out"),
        (["start", "--python", "/no/python"], "--python"),
        (["start", "--", "--api-key", "x"], "VLLM_API_KEY"),
        (["start", "--modell", "x"], "No such option"),
        (["logs"], "there is no log in logs"),
    ],
)
def test_mistakes(port: int, arguments: list[str], said: str) -> None:
    if arguments[0] == "start":
        arguments = ["start", "--port", str(port), *arguments[1:]]
    done = invoke(*arguments)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert not Path("logs").exists()


def test_the_model_and_the_address_come_from_the_environment(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_MODEL", "org/from-environment")
    started = invoke("start", "--port", port, "--disable-log-requests", "--", "--enforce-eager")
    assert "org/from-environment" in started.output
    monkeypatch.setenv("VLLM_BASE_URL", f"http://127.0.0.1:{port}/v1")
    assert "org/from-environment" in invoke("check").output
    assert invoke("check", "--port", unused_port()).exit_code == 1
    assert ServerRegistry().records()[0].command[-1] == "--enforce-eager"
    assert invoke("stop", "--all").exit_code == 0


def test_other_machines_are_let_in_with_a_warning(port: int) -> None:
    started = invoke("start", "--model", "org/model", "--port", port, "--host", "0.0.0.0")
    assert "Warning: --host 0.0.0.0 lets other machines use this server" in started.output
    assert f"http://127.0.0.1:{port}/v1" in started.output
    assert invoke("stop", "--port", port).exit_code == 0


def test_logs(port: int) -> None:
    invoke("start", "--model", "org/model", "--port", port)
    invoke("check", "--port", port)
    done = CliRunner().invoke(vllm, ["logs", "--port", str(port), "-n", "1"])
    assert 'POST /v1/chat/completions HTTP/1.1" 200' in done.output
    invoke("stop", "--all")
    assert "loading org/model" in invoke("logs").output, "also when it has ended"
    assert invoke("logs", "--port", unused_port()).exit_code == 2


def test_logs_are_followed_until_interrupted(port: int) -> None:
    invoke("start", "--model", "org/model", "--port", port)
    code = "import sys; from hierarchical_reasoning.cli.vllm import vllm; vllm(sys.argv[1:])"
    command = [sys.executable, "-uc", code, "logs", "--port", str(port), "-f", "-n", "0"]
    environment = os.environ | {"PYTHONPATH": f"{SCRIPTS.parent}{os.pathsep}{os.environ['PYTHONPATH']}"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as logs:
        assert logs.stdout is not None
        assert logs.stderr is not None
        assert logs.stderr.readline().startswith("==>")
        invoke("check", "--port", port)
        assert "/health" in logs.stdout.readline()
        logs.send_signal(signal.SIGINT)
        assert logs.stderr.read() == ""
    assert logs.returncode == 0
    invoke("stop", "--all")
