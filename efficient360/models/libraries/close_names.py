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


def _likeness(name: str, candidate: str) -> float:
    """In [0, 1]: how alike a name and a candidate, or the candidate's beginning, are; people leave out the tail."""
    matcher = difflib.SequenceMatcher(None, b=name.lower())
    likeness = 0.0
    for part in (candidate.lower(), candidate.lower()[: len(name) + 1]):
        matcher.set_seq1(part)
        if matcher.quick_ratio() > likeness:
            likeness = max(likeness, matcher.ratio())
    return likeness
