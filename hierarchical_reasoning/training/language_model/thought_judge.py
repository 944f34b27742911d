"""A model that rates the thoughts of a training run: the local reward ``judge``, on any backend.

All ratings that are due are asked for together, within the backend's limits. Each is retried there; one that fails for
good ends the run, since no rating is guessed, and nothing is learned from what was not rated. Replies are kept in the
cache of ``--cache_dir``, so that a run that goes on asks for no rating twice.
"""

from __future__ import annotations

from hierarchical_reasoning.backends import make_backend, open_cache
from hierarchical_reasoning.fatal import FATAL
from hierarchical_reasoning.problems import Problem
from hierarchical_reasoning.results.records import RoleUsage
from hierarchical_reasoning.rewards import JudgeLocalReward
from hierarchical_reasoning.training.errors import TrainingError
from hierarchical_reasoning.training.language_model.config import LanguageModelConfig
from llm_backends import Backend, BackendError, Completion, Price, PriceTable, ReplyCache, Request, Spent
from llm_backends.closing import AsyncClosing

FLAG = "--high_level_model_name"


class ThoughtJudge(AsyncClosing):
    """A `LocalReward` that a run keeps. Belongs to one event loop, and to the thread that this is in."""

    def __init__(self, backend: Backend, price: Price | None, cache: ReplyCache | None = None) -> None:
        """
        Args:
            backend: closed with the judge, as `cache` is.
            price: None: not known.
        """
        self._backend = backend
        self._price = price
        self._cache = cache
        self._rate = JudgeLocalReward(self._complete)
        self._spent = Spent()

    @classmethod
    async def open(cls, config: LanguageModelConfig) -> ThoughtJudge:
        """
        Raises:
            BackendError: the model, its key or its server is not there, or the cache cannot be used.
            OutputError: `--cache_dir` cannot be written.
        """
        model = config.judge_model
        assert model is not None, "the judge was named"
        cache = open_cache(config)
        judge = None
        try:
            backend = make_backend(config, model, cache, flag=FLAG)
            price = PriceTable.load(config.prices).price(model.framework, model.model_name)
            judge = cls(backend, price, cache)
            await backend.check_model()
        except BaseException:
            if judge is not None:
                await judge.aclose()
            elif cache is not None:
                cache.close()
            raise
        return judge

    @property
    def notes(self) -> tuple[str, ...]:
        """What the backend did otherwise than asked."""
        return tuple(self._backend.notes)

    async def __call__(self, problem: Problem, parent_text: str, text: str) -> float:
        """As `LocalReward`.

        Raises:
            TrainingError: no rating came.
            BackendError: nor would another (see :data:`hierarchical_reasoning.fatal.FATAL`).
        """
        try:
            return await self._rate(problem, parent_text, text)
        except FATAL:
            raise
        except BackendError as error:
            kept = "; what it rated is not asked again" if self._cache is not None else ""
            raise TrainingError(
                f"a thought on problem {problem.id!r} was not rated: {type(error).__name__}: {error}. See to the judge "
                f"({FLAG} {self._backend.model_name}), then go on with --resume{kept}"
            ) from error

    def take_usage(self) -> RoleUsage:
        """What it took since the last time."""
        spent, self._spent = self._spent, Spent()
        return RoleUsage.priced(spent, self._price)

    async def aclose(self) -> None:
        await self._backend.aclose()
        if self._cache is not None:
            self._cache.close()

    async def _complete(self, request: Request) -> Completion:
        try:
            completion = await self._backend.complete(request)
        except BackendError as error:
            self._spent += error.spent or Spent()
            raise
        self._spent += completion.spent
        return completion
