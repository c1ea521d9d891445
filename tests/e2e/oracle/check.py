"""Properties that are checked, in words, and the run configuration that an artefact carries.

A Report collects what holds and what does not; nothing stops at the first disagreement, because the
second one often explains it.
"""

import numpy as np


class Report:
    def __init__(self, title):
        self.title, self.held, self.broken = title, 0, 0

    def check(self, condition, words, detail=""):
        if condition:
            self.held += 1
        else:
            self.broken += 1
            print(f"FAILED: {self.title}: {words}" + (f"; {detail}" if str(detail) else ""))
        return bool(condition)

    def same(self, mine, theirs, words, names=None):
        """Equal arrays; NaN equals NaN. The first few rows that differ are shown."""
        mine, theirs = np.asarray(mine), np.asarray(theirs)
        if not self.check(mine.shape == theirs.shape, words, f"shape {mine.shape} here, {theirs.shape} there"):
            return False
        differ = mine != theirs
        if mine.dtype.kind == "f":
            differ &= ~(np.isnan(mine) & np.isnan(theirs))
        rows = np.flatnonzero(differ.reshape(len(mine), -1).any(axis=1)) if mine.ndim else np.flatnonzero(differ)
        shown = "".join(
            f"\n    row {r}{f' {names[r]}' if names is not None else ''}: {mine[r]} here, {theirs[r]} there"
            for r in rows[:5]
        )
        return self.check(len(rows) == 0, words, f"{len(rows)} of {len(mine)} rows differ{shown}")

    def close(self, mine, theirs, tolerance, words, scale=None):
        """Largest difference over the largest value (or `scale`); the same NaNs on both sides."""
        mine, theirs = np.atleast_1d(np.asarray(mine, float)), np.atleast_1d(np.asarray(theirs, float))
        if not self.check(mine.shape == theirs.shape, words, f"shape {mine.shape} here, {theirs.shape} there"):
            return np.inf
        if not self.check(
            (np.isnan(mine) == np.isnan(theirs)).all(), words, f"not the same NaNs: {mine[:4]} here, {theirs[:4]} there"
        ):
            return np.inf
        good = ~np.isnan(mine)
        if not good.any():
            self.held += 1
            return 0.0
        size = scale if scale is not None else max(np.abs(mine[good]).max(), 1e-300)
        worst = np.abs(mine - theirs)[good].max() / size
        self.check(worst <= tolerance, words, f"relative difference {worst:.2e}, allowed {tolerance:.0e}")
        return worst

    def say(self, text):
        print(f"{self.title}: {text}")


def _value(text):
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1].strip()
        return [_value(item) for item in inner.split(",")] if inner else []
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def parse_config(text):
    """The effective configuration as the program writes it: maps nested by two blanks, values, lists in brackets."""
    root = {}
    stack = [(-1, root)]
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = len(line) - len(line.lstrip())
        key, _, rest = line.strip().partition(":")
        while stack[-1][0] >= indent:
            stack.pop()
        if rest.strip():
            stack[-1][1][key] = _value(rest)
        else:
            stack[-1][1][key] = {}
            stack.append((indent, stack[-1][1][key]))
    return root


def text_of(value):
    """Fixed-width text of FITS or HDF5: without padding."""
    return (value.decode() if isinstance(value, bytes) else str(value)).rstrip(" \0")


def texts_of(values):
    return np.array([text_of(v) for v in values], dtype=str)
