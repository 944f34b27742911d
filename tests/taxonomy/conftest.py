import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from taxonomy import Chunk, Rollout

# label: (description, ways to say it)
STEPS = {
    "Problem Restatement": (
        "Say what the problem asks for.",
        ("We need to find {a}.", "The question asks for {a}."),
    ),
    "Multiplication": (
        "Multiply two numbers.",
        ("Multiplying {a} by {b} gives {c}.", "{a} times {b} is {c}."),
    ),
    "Division": ("Divide one number by another.", ("Dividing {a} by {b} gives {c}.",)),
    "Addition": ("Add two numbers.", ("Adding {a} and {b} gives {c}.", "{a} plus {b} is {c}.")),
    "Subtraction": ("Subtract one number from another.", ("Subtracting {b} from {a} gives {c}.",)),
    "Constant Merging": (
        "Add the plain numbers on one side of the equation.",
        ("On the left side the numbers {a} and {b} merge to {c}.",),
    ),
    "Constant Transfer": (
        "Subtract a plain number from both sides of the equation.",
        ("Subtract {a} from both sides of the equation.",),
    ),
    "Coefficient Division": (
        "Divide both sides of the equation by the coefficient.",
        ("Divide both sides of the equation by {a}.",),
    ),
    "Result Check": ("Check the result.", ("Let me check that {a} is right.", "Checking: {a} holds.")),
    "Answer Statement": ("State the answer.", ("So the answer is {a}.", "Therefore the answer: {a}.")),
}


def make_rollouts(count: int = 40, labels: tuple[str, ...] = tuple(STEPS)) -> list[Rollout]:
    source = random.Random(7)
    rollouts = []
    for number in range(count):
        chunks = []
        for idx, label in enumerate(labels):
            description, wordings = STEPS[label]
            a, b, c = (source.randint(2, 99) for _ in range(3))
            text = source.choice(wordings).format(a=a, b=b, c=c)
            chunks.append(Chunk(idx=idx, text=text, label=label, description=description))
        rollouts.append(
            Rollout(f"r{number:03}", f"problem {number}", tuple(chunks), is_correct=number % 3 > 0)
        )
    return rollouts


@pytest.fixture
def rollouts() -> list[Rollout]:
    return make_rollouts()


@pytest.fixture(scope="session")
def rollouts_with() -> Callable[..., list[Rollout]]:
    return make_rollouts


@pytest.fixture
def shared_data() -> Path:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(os.environ.get("HR_SHARED_DATA", default))
    if not path.is_dir():
        pytest.skip(f"no shared data at {path} (HR_SHARED_DATA)")
    return path
