"""Backends that ask a server: OpenAI and what speaks its protocol, vLLM, Together, Anthropic.

Each backend is a class in a file named for the service. A service's SDK is imported when its class is.
"""
