"""Names that look like one that is misspelt."""

import difflib
from collections.abc import Collection

_LONGEST_NAME = 100


def close_names(name: str, among: Collection[str]) -> tuple[str, ...]:
    """Up to three names of ``among`` that look like ``name``, the likeliest first."""
    if len(name) > _LONGEST_NAME:
        return ()
    near = {candidate: _likeness(name, candidate) for candidate in among}
    best = sorted((candidate for candidate in near if near[candidate] >= 0.75), key=lambda c: (-near[c], len(c), c))
    return tuple(best[:3])


def did_you_mean(name: str, known: Collection[str], further: str = "", listed: str = "") -> str:
    """A hint for a name that does not exist: the names that look like it where some do, else all of them.

    Args:
        name: What was typed.
        known: The names that exist.
        further: Where to read more, or what else may be given.
        listed: All names in a sentence of the caller's, in place of ``known: …``; told in any case.
    """
    near, also = close_names(name, known), "; ".join(filter(None, (listed, further)))
    if near:
        return f"did you mean {' or '.join(near)}?" + (f" {also[0].upper()}{also[1:]}" if also else "")
    return also if listed else "; ".join(filter(None, (f"known: {', '.join(known)}", further)))


def _likeness(name: str, candidate: str) -> float:
    """In [0, 1]: how alike a name and a candidate, or the candidate's beginning, are; people leave out the tail, and swap letters."""
    if sorted(name.lower()) == sorted(candidate.lower()):
        return 0.95
    matcher = difflib.SequenceMatcher(None, b=name.lower())
    likeness = 0.0
    for part in (candidate.lower(), candidate.lower()[: len(name) + 1]):
        matcher.set_seq1(part)
        if matcher.quick_ratio() > likeness:
            likeness = max(likeness, matcher.ratio())
    return likeness
