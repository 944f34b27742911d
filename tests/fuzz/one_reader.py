"""Fuzz one reader, in a process whose memory is bounded: `one_reader.py NAME COUNT SEED FOLDER`.

Prints a JSON object: how many inputs were read, how many were refused, the slowest, the peak of memory, and for what
went wrong the traceback and the file that did it.
"""

from __future__ import annotations

import json
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from readers import READERS, Reader

SECONDS = 10.0
"""Of processor time for one input: a busy machine is no hang."""
ADDRESS_SPACE = 8 * 2**30
MAX_FAILURES = 5


class TookTooLong(BaseException):
    """Nothing that catches errors may catch this."""


def _took_too_long(*_: object) -> NoReturn:
    raise TookTooLong(f"over {SECONDS} s")


def fuzz(reader: Reader, count: int, seed: int, folder: Path) -> dict[str, Any]:
    draw = random.Random(seed)
    seeds = {name: (folder / name).read_bytes() for name in reader.seeds}
    work = Path(tempfile.mkdtemp(dir=folder))
    for name in reader.beside:
        shutil.copy(folder / name, work)
    found: dict[str, Any] = {"read": 0, "refused": 0, "slowest_s": 0.0, "failures": []}
    signal.signal(signal.SIGVTALRM, _took_too_long)
    for number in range(count):
        name = draw.choice(reader.seeds)
        path = work / name
        path.write_bytes(reader.mutate(seeds[name], draw))
        failure = _outcome(reader, path, found)
        if failure is not None:
            kept = path.rename(work / f"failed-{number}-{name}")
            found["failures"].append(f"{kept}\n{failure}")
            if len(found["failures"]) == MAX_FAILURES:
                break
        path.unlink(missing_ok=True)
    return found


def _outcome(reader: Reader, path: Path, found: dict[str, Any]) -> str | None:
    started = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        reader.read(path)
        found["read"] += 1
    except reader.errors as error:
        found["refused"] += 1
        if not str(error).strip():
            return f"{type(error).__name__} without a message"
    except (Exception, TookTooLong):  # noqa: BLE001 - what comes out is what is looked for
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        found["slowest_s"] = max(found["slowest_s"], round(time.process_time() - started, 3))
    return None


def main() -> None:
    name, count, seed, folder = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    found = fuzz(READERS[name], int(count), int(seed), Path(folder))
    (peak,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps({**found, "peak_mb": int(peak) // 1024}))  # noqa: T201


if __name__ == "__main__":
    main()
