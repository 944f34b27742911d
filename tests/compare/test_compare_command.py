"""``compare`` and ``status`` as they are typed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from scripted_run import write_problems
from scripted_study import begun, varying

from hierarchical_reasoning.cli.main import main
from hierarchical_reasoning.compare import compare, open_study
from hierarchical_reasoning.compare.status import study_status
from hierarchical_reasoning.errors import ConfigError
from llm_backends.scripted_server import ScriptedServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.chdir(tmp_path)
    write_problems(tmp_path / "problems.jsonl", 6)
    with ScriptedServer(varying) as server:
        yield server


def flags(server: ScriptedServer) -> list[str]:
    return [
        *("--input_file", "problems.jsonl", "--llm_framework", "openai", "--model_name", "scripted"),
        *("--base_url", server.base_url, "--num_icl_examples", "0", "--n_rows", "6", "--no_report"),
    ]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["compare", "--output", "study", *arguments])


def test_a_study_begun_and_gone_on_with(tmp_path: Path, server: ScriptedServer) -> None:
    first = invoke("--arms", "vanilla,1", *flags(server))
    assert first.exit_code == 0, first.output
    assert "| level 1 |" in first.output
    assert "majority of" in first.output
    assert "study/comparison.json" in first.output
    assert "exact McNemar" in (tmp_path / "study" / "summary.md").read_text()
    calls = len(server.calls)
    again = invoke("--no_report")
    assert (again.exit_code, len(server.calls)) == (0, calls)
    assert "nothing is owed" in again.output
    more = invoke("--arms", "0", "--no_report")
    assert more.exit_code == 0
    assert "added: 0" in more.output
    assert [arm.name for arm in open_study(tmp_path / "study").arms][:3] == ["vanilla", "1", "0"]
    told = CliRunner().invoke(main, ["status", "study"])
    assert told.exit_code == 0
    assert "6 of 6" in told.output
    assert told.output.strip().endswith("complete")


def test_created_then_done_by_processes(tmp_path: Path, server: ScriptedServer) -> None:
    created = invoke("--arms", "vanilla,1,maj@3", *flags(server), "--create")
    assert (created.exit_code, len(server.calls)) == (0, 0)
    assert "24 attempts owed" in CliRunner().invoke(main, ["status", "study"]).output
    done = invoke("--processes", "2", "--no_report")
    assert done.exit_code == 0, done.output
    assert study_status(tmp_path / "study").is_complete
    assert [str(one.shard) for one in study_status(tmp_path / "study").shards] == ["1/2", "2/2"]
    asked = [json.dumps(call.body, sort_keys=True) for call in server.calls]
    assert len(set(asked)) == len(asked)


def test_a_dry_run_spends_nothing(
    tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    told = invoke("--arms", "vanilla,1,maj@3", *flags(server), "--dry_run")
    assert (told.exit_code, len(server.calls)) == (0, 0), told.output
    lines = {line.split("│")[1].strip(): line for line in told.output.splitlines() if line.startswith("│")}
    calls = {name: int(line.split("│")[2].replace(",", "")) for name, line in lines.items()}
    assert (calls["vanilla"], calls["maj@3"]) == (6, 12)
    assert calls["total"] == sum(calls.values()) - calls["total"]
    (twins,) = (name for name in calls if name.startswith("twins: up to"))
    assert calls[twins] == 6 * (int(twins.split()[3]) - 3) > 0
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "holds no study; begin one with --arms"),
        (["--arms", "vanilla,nine"], "there is no arm 'nine'"),
        (["--arms", "8"], "the taxonomy has no level 8; its levels are 0 to 6"),
        (["--arms", "0", "--input_file", "none.jsonl"], "none.jsonl does not exist"),
        (["--arms", "0", "--category", "none"], "--category 'none' is not in"),
        (["--shard", "1/2"], "holds no study"),
        (["--shard", "5/2"], "must be I/N"),
        (["--shard", "1/2", "--arms", "0"], "give --arms and --config without it"),
        (["--merge", "--create"], "--create and --merge do not go together"),
        (["--shard", "1/2", "--processes", "2"], "--shard and --processes do not go together"),
        (["--merge"], "holds no study"),
        (["--config", "none.yaml"], "none.yaml cannot be read"),
        (["--arms", "0", "--llm_framework", "scripted"], "cannot give it"),
    ],
)
def test_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("{name: a, level: x}", "arm a: level is 'x': Input should be a valid integer"),
        ("{name: a, level: 1, planner: markof}", "arm a: planner is 'markof': Input should be"),
        ("{name: a, level: 1, search: bean}", "arm a: search is 'bean': Input should be"),
        ("{name: maj@3, level: 1}", "arm maj@3: compute-matched baselines have such names"),
    ],
)
def test_a_mistake_in_an_arm_names_the_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arms: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(f"arms: [vanilla, {arms}]")
    result = invoke("--config", "study.yaml", "--create")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_level_that_nobody_gave_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text("arms: [vanilla, untyped, 2, {name: a, planner: markov}]")
    result = invoke("--config", "study.yaml", "--create", "--n_rows", "2")
    assert result.exit_code == 0, result.output
    notes = [line for line in result.output.splitlines() if "has thought types of level" in line]
    assert notes == ["note: arm a has thought types of level 3, since it names none (level: N)"]


async def test_settings_from_python_that_there_are_not_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no setting 'n_row'; did you mean n_rows\?"):
        await compare(tmp_path / "study", ["vanilla"], n_row=3)
    with pytest.raises(ConfigError, match="--planner 'markof': Input should be"):
        await compare(tmp_path / "study", ["vanilla"], planner="markof")


def test_help_says_what_is_true_of_a_study() -> None:
    told = " ".join(invoke("--help").output.split())
    assert "Where replies are kept. [default: cache, in --output]" in told
    assert "On --resume" not in told
    assert "On --resume" in " ".join(CliRunner().invoke(main, ["run", "--help"]).output.split())


def test_an_interrupted_shard_finishes_what_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_problems(tmp_path / "problems.jsonl", 12)
    with ScriptedServer(varying, first_s=0.2) as server:
        begun(tmp_path, server.base_url, "1", n=12, matched=False, max_concurrency=2)
        study = tmp_path / "study"
        command = "from hierarchical_reasoning.cli.main import main; main()"
        with subprocess.Popen(
            [sys.executable, "-c", command, "compare", "--output", str(study), "--shard", "1/1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            deadline = time.monotonic() + 240
            while study_status(study).done < 1:
                assert running.poll() is None, running.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            running.send_signal(signal.SIGTERM)
            _, complaints = running.communicate(timeout=240)
    assert running.returncode == 130
    assert "what is finished is kept" in complaints
    status = study_status(study)
    assert 0 < status.done < 12
    (shard,) = status.shards
    assert (shard.state, shard.is_alive) == ("stopped", False)
    answered = [call for call in server.calls if call.ended is not None]
    assert len(answered) == len(server.calls)
    assert len(server.calls) == 6 * status.done


def test_processes_that_are_killed_or_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_problems(tmp_path / "problems.jsonl", 12)
    command = "from hierarchical_reasoning.cli.main import main; main()"
    study = tmp_path / "study"
    with ScriptedServer(varying, first_s=0.2) as server:
        begun(tmp_path, server.base_url, "1", n=12, matched=False, max_concurrency=1)
        for number, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)):
            before = study_status(study).done
            with subprocess.Popen(
                [sys.executable, "-c", command, "compare", "--output", str(study), "--processes", "2"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as running:
                deadline = time.monotonic() + 280
                while study_status(study).done <= before:
                    assert running.poll() is None, running.communicate()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                running.send_signal(number)
                running.communicate(timeout=280)
            assert running.returncode == status
            while any(shard.is_alive for shard in study_status(study).shards):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert {shard.state for shard in study_status(study).shards} == {"stopped"}
        done = study_status(study).done
        assert 0 < done < 12
