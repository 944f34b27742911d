"""What is loaded into a vLLM server. The modules here import vLLM and nothing of ours: a server may run in an
environment that has nothing else, with this folder on its PYTHONPATH."""

from pathlib import Path

FOLDER = Path(__file__).parent
ADAPTIVE_TEMPERATURE = "hr_adaptive_temperature:AdaptiveTemperature"
"""As vLLM's --logits-processors takes it."""
ADAPTIVE_TEMPERATURE_FIELD = "hr_adaptive_temperature"
"""In a request's `vllm_xargs`: m, s, scale_pos, scale_neg and tau."""
