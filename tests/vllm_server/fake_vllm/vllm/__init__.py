"""Stands in for vLLM: a small real server, run through ``-m`` as the real one is."""
