"""Dividing the text of a trace into chunks, by rules or by a language model."""
