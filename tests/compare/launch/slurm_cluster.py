"""A Slurm of one's own: two virtual nodes of this machine, in a folder, as any user. It is there within a second."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
_CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=cred_expire=5,socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
FirstJobId=9
MpiDefault=none
MailProg=/bin/true
KillWait=10
SchedulerParameters=batch_sched_delay=0,sched_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=1000 Gres=gpu:2 Features=small
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=1000 Gres=gpu:2 Features=small
PartitionName=short Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[Path]:
    """Two nodes with a core and two GPUs (which are none) each, in partition "short"; gives their configuration, which
    Slurm's commands find in SLURM_CONF. Jobs are numbered from 9, so that their numbers soon differ in length.
    What still runs at the end is cancelled."""
    for name in ("state", "spool/n1", "spool/n2", "log", "munge"):
        (folder / name).mkdir(parents=True)
    configuration = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    configuration.write_text(
        _CONFIGURATION.format(folder=folder, host=host, ports=_free_ports(3), user=getpass.getuser())
    )
    devices = "".join(f"NodeName=n[1-2] Name=gpu File=/dev/{name}\n" for name in ("null", "zero"))
    (folder / "gres.conf").write_text(devices)
    environment = os.environ | {"SLURM_CONF": str(configuration), "PATH": _path()}

    def run(*command: str) -> str:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    try:
        _start_munge(folder / "munge", run)
        run("slurmctld")
        for node in ("n1", "n2"):
            run("slurmd", "-N", node)
        wait_until(lambda: run("sinfo", "-h", "-N", "-o", "%T").split() == ["idle", "idle"])
        yield configuration
        run("scancel", "--user", getpass.getuser())
        wait_until(lambda: not run("squeue", "-h"))
    finally:
        for pid_file in [*folder.glob("slurmd-*.pid"), folder / "slurmctld.pid", folder / "munge/pid"]:
            _end(pid_file)


def wait_until(condition: Callable[[], object], timeout_s: float = 120.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.1)


def _start_munge(folder: Path, run: Callable[..., str]) -> None:
    key = folder / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    folder.chmod(0o755)
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    run("munged", "--force", *(f"--{option}={folder / name}" for option, name in files.items()))


def _end(pid_file: Path) -> None:
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        return
    wait_until(lambda: not Path("/proc", str(pid)).exists(), timeout_s=30)


def _free_ports(n: int) -> list[int]:
    probes = [socket.socket() for _ in range(n)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _path() -> str:
    """Where daemons are, too."""
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
