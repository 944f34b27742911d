"""Text from untrusted files, made safe to print.

A control character in a label could clear the screen, set the window's title or hide what follows. Left alone
on purpose: letters of any script, and characters that only change the direction of text.
"""

_C0_AND_C1 = (*range(0x20), *range(0x7F, 0xA0))
_WRITTEN_OUT = {code: f"\\x{code:02x}" for code in _C0_AND_C1 if chr(code) not in "\n\t"}


def visible(text: str) -> str:
    """The text with its control characters but newline and tab written out: ESC as `\\x1b`, in four
    characters."""
    return text.translate(_WRITTEN_OUT)


def one_line(text: str) -> str:
    """The text in a line: white space collapsed after control characters are written out, since some count as white
    space."""
    return " ".join(visible(text).split())
