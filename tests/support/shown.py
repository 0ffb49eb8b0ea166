"""What a page shows of a command, beside what the command has said."""

from __future__ import annotations

import re

CHANCE = (
    (r"\x1b\[[\d;]*m", ""),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+", "TIME"),
    (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
    (r"\b[kp]\d{8}-[0-9a-f]{8}\b", "KEY"),
    (r"\b[0-9a-f]{32}\b|\b0x[0-9a-f]{4,}…?", "ID"),
    (r"\b(?:[0-9A-F]{2}:){2,}[0-9A-F…]+", "FINGERPRINT"),
    (r"\bmessage id \w+", "message id ID"),
    (r"\b\d{5} \d{5}\b", "CODE"),
    (r"\b\d+\.\d\d s\b", "SECONDS"),
    (r"\b\d+ (?:d|h|min|s)\b(?: \d+ (?:h|min|s)\b)*", "SPAN"),
    (r"\b\d[\d.]* (?:bytes|kB|MB|GB)(?! in| out)", "SIZE"),
    (r"\b(FreeRADIUS|SQLite) \d+\.\d+\.\d+", r"\1 VERSION"),
    (r"/tmp/(smsotp-demo)-\w+", r"/tmp/\1"),
    (r"(?<=127\.0\.0\.1:)\d{5}\b|(?<=\bId )\d+|(?<=\blength )\d+", "NUMBER"),
    (r"\bcourier \w+:\d+:[0-9a-f]{8}\b", "courier NAME"),
    (r"^[─ ]+$\n?", ""),  # below a table's titles, on a terminal alone
    # A time of another zone may be wider.
    (r"[ \t]+", " "),
    (r"^ | $", ""),
    (r"\n\n+", "\n"),
)
"""What is another at each time, to what stands for it."""

FIGURE = r"(?<![\w-])\d[\d,]*(?:\.\d+)?(?![\w-])", "FIGURE"
"""What is another at each site."""


def usual(text: str, *, figures: bool = False) -> str:
    """
    A text without what chance has made.

    Args:
        figures: Without what depends on how large the site is, either.
    """
    for like, word in (*CHANCE, *([FIGURE] if figures else [])):
        text = re.sub(like, word, text.strip("\n"), flags=re.MULTILINE)
    return text.strip()


def agrees(shown: str, told: str, *, figures: bool = False) -> bool:
    """Whether a page shows what was said; … there stands for anything, also for no line at all."""
    like = re.escape(usual(shown, figures=figures)).replace("…", ".*?")
    like = re.sub(r"\\\n\.\*\?(?=\\\n|$)", r"(?:\\n.*?)?", like)
    like = re.sub(r"^\.\*\?\\\n", r"(?:.*?\\n)?", like)
    return bool(re.fullmatch(like, usual(told, figures=figures), re.DOTALL))
