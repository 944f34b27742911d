"""One run of the main command's job, for benchmarks that need its accuracy."""

from __future__ import annotations

from hierarchical_reasoning.assembly import assemble
from hierarchical_reasoning.backends import make_backends
from hierarchical_reasoning.config import RunConfig
from hierarchical_reasoning.observer import Observer
from hierarchical_reasoning.results.records import Summary
from hierarchical_reasoning.runner import Finished, execute, open_journal


async def finished(config: RunConfig) -> Finished:
    """The run, all of it done now."""
    run = assemble(config)
    journal, _ = open_journal(run, resume=False)
    with journal:
        async with make_backends(config) as backends:
            return await execute(run, backends, journal, Observer())


async def solved(config: RunConfig) -> Summary:
    """What the run found, all of it done now."""
    return (await finished(config)).results.summary
