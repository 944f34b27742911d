"""A command inside a Slurm job that goes back into the queue before its time is over.

At SIGUSR1 or SIGUSR2, which Slurm sends as ``--signal=B:USR1@300`` says, the command gets SIGTERM, so that it finishes
what it is at; at the end of the grace another one, so that it gives up what it is at; some seconds later SIGKILL. Then
the job is queued again, and finds what is owed. A command that came to its end by itself is not run again, whether it
went well or not. SIGTERM and SIGINT of others (``scancel``, a node that is emptied) are passed on, and Slurm decides.
vLLM servers that were started in the job never outlive the command.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hierarchical_reasoning.errors import ConfigError
from llm_backends import BackendError
from llm_backends.vllm_server import stop_servers_of_job

REQUEUED = 75
"""Exit status of a job that went back into the queue (EX_TEMPFAIL)."""
_INTERRUPTED = 130
_AFTER_SECOND_S = 30.0
_ASKED_TO_END = (signal.SIGUSR1, signal.SIGUSR2)
_PASSED_ON = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class SlurmJob:
    """The job that this process is in."""

    id: str
    """Of this task alone, where it is one of an array."""
    name: str
    """What Slurm's commands are told: the id of one task of an array is that of the whole array, too."""
    restarts: int
    """How often it was queued again."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> SlurmJob:
        """Raises ConfigError where this is no job of Slurm's."""
        if not environ.get("SLURM_JOB_ID"):
            raise ConfigError(
                "this is no job of Slurm's: SLURM_JOB_ID is not set; hand a script over with sbatch"
            )
        number = environ["SLURM_JOB_ID"]
        array, task = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
        name = f"{array}_{task}" if array and task else number
        return cls(number, name, int(environ.get("SLURM_RESTART_COUNT") or 0))


async def run_in_job(
    command: Sequence[str], job: SlurmJob, say: Callable[[str], None], *, grace_s: float, requeues: int
) -> int:
    """Run it to its end, or until the job's time is nearly over.

    Args:
        say: told in a line what is done.
        grace_s: seconds between the two SIGTERM.
        requeues: how often the job goes back into the queue at most.

    Returns:
        The exit status: that of the command, or `REQUEUED`.

    Raises:
        ConfigError: there is no such command, or Slurm does not take the job back.
    """
    running = _Running(say, grace_s)
    try:
        status = await running.to_its_end(command)
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be run ({error.strerror})") from error
    finally:
        await _stop_servers(job, say)
    if not running.told or running.cancelled or not (status < 0 or status == _INTERRUPTED):
        return status if status >= 0 else 128 - status
    if job.restarts >= requeues:
        say(
            f"job {job.name} was queued again {job.restarts} times already, and is not once more (--requeues)"
        )
        return _INTERRUPTED
    say(f"job {job.name} goes back into the queue")
    done = await asyncio.to_thread(
        subprocess.run, ["scontrol", "requeue", job.name], capture_output=True, text=True
    )
    if done.returncode:
        raise ConfigError(
            f"job {job.name} cannot go back into the queue ({' '.join(done.stderr.split())}); submit it again, and it "
            "does what is owed"
        )
    return REQUEUED


async def _stop_servers(job: SlurmJob, say: Callable[[str], None]) -> None:
    """What vLLM servers the command left, because it was killed, would keep the GPUs of the job's next start."""
    try:
        for record in await stop_servers_of_job(job.id):
            say(f"stopped the server of {record.served_model_name} on port {record.port}, which was left")
    except BackendError as error:
        say(str(error))


class _Running:
    """A command, and what signals do to it."""

    def __init__(self, say: Callable[[str], None], grace_s: float) -> None:
        self.told = False
        """It was asked to end because the job's time is nearly over."""
        self.cancelled = False
        """Somebody else ended it."""
        self._say = say
        self._grace_s = grace_s
        self._time_is_up = asyncio.Event()

    async def to_its_end(self, command: Sequence[str]) -> int:
        """The return code, negative for a signal that ended it."""
        loop = asyncio.get_running_loop()
        for number in _ASKED_TO_END:
            loop.add_signal_handler(number, self._time_is_up.set)
        process = await asyncio.create_subprocess_exec(*command, preexec_fn=_ignore_what_is_ours)
        for number in _PASSED_ON:
            loop.add_signal_handler(number, self._pass_on, process, number)
        ending = asyncio.create_task(self._end_in_time(process))
        try:
            return await process.wait()
        finally:
            ending.cancel()

    def _pass_on(self, process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        self.cancelled = True
        _send(process, number)

    async def _end_in_time(self, process: asyncio.subprocess.Process) -> None:
        await self._time_is_up.wait()
        self.told = True
        self._say(f"the job's time is nearly over: what is in flight has {self._grace_s:.0f} s to finish")
        _send(process, signal.SIGTERM)
        await asyncio.sleep(self._grace_s)
        self._say("it has not finished, and is owed")
        _send(process, signal.SIGTERM)
        await asyncio.sleep(_AFTER_SECOND_S)
        _send(process, signal.SIGKILL)


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(number)


def _ignore_what_is_ours() -> None:
    """In the command: Slurm may send these signals to every process of a job, and they would end it."""
    for number in _ASKED_TO_END:
        signal.signal(number, signal.SIG_IGN)
