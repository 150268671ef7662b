"""What a limited profile says, ``1core-2gb-quota50``: its parts, and whether this machine can play it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from efficient360.errors import SettingsError

GRAMMAR = "parts joined by dashes: 2core, 4gb or 512mb, quota50 (percent of one core's time), avx2"
UNIT = {"mb": 2**20, "gb": 2**30}
LEAST_MEMORY = 64 * 2**20
LEAST_QUOTA = 10  # percent: the kernel's least quota is 1 ms, and a period is 10 ms
NEWER = ("avx512", "avx_vnni", "amx_")
"""How instruction sets above AVX2 begin."""
_PART = re.compile(r"(?P<cores>[0-9]{1,9})cores?|(?P<memory>[0-9]{1,9})(?P<unit>mb|gb)|quota(?P<quota>[0-9]{1,9})|(?P<isa>avx2)")


@final
@dataclass(frozen=True)
class LimitProfile:
    """Limits on every worker; ``None`` leaves the machine's own.

    Args:
        cores: CPU cores it may run on.
        memory: Bytes of memory, page cache of its files included.
        quota: CPU time of the whole worker, all threads together, in percent of one core's time.
        isa: Newest instruction set it may use.
    """

    cores: int | None = None
    memory: int | None = None
    quota: int | None = None
    isa: str | None = None


def parse(text: str) -> LimitProfile:
    """The profile of a text as ``1core-2gb``.

    Raises:
        SettingsError: ``bad-profile``: a part that means nothing, a part given twice, or a limit too small to run anything.
    """
    parts: dict[str, int | str] = {}
    for part in text.lower().split("-"):
        match = _PART.fullmatch(part)
        if match is None:
            raise SettingsError("bad-profile", f"limited:{text} has a part {part!r} that means nothing", f"give {GRAMMAR}")
        unit = match["unit"]
        (key, value) = next((key, value) for key, value in match.groupdict().items() if value)
        if key in parts:
            raise SettingsError("bad-profile", f"limited:{text} says its {key} twice", f"give {GRAMMAR}, each once")
        parts[key] = value if key == "isa" else int(value) * (UNIT[unit] if unit else 1)
    profile = LimitProfile(**parts)  # type: ignore[arg-type]  # the pattern's groups are the fields
    _large_enough(profile, text)
    return profile


def _large_enough(profile: LimitProfile, text: str) -> None:
    if profile.cores == 0:
        raise SettingsError("bad-profile", f"limited:{text} has no core", "give one at least, 1core")
    if profile.memory is not None and profile.memory < LEAST_MEMORY:
        raise SettingsError("bad-profile", f"limited:{text} has too little memory to start Python in", f"give {LEAST_MEMORY // 2**20}mb at least")
    if profile.quota is not None and profile.quota < LEAST_QUOTA:
        raise SettingsError("bad-profile", f"limited:{text} has too small a quota for the kernel", f"give quota{LEAST_QUOTA} at least")


def check_fits(profile: LimitProfile, text: str, cores: int, memory: int, isa: Sequence[str]) -> None:
    """Refuse a profile that is more than this machine.

    Args:
        profile: The profile.
        text: As typed.
        cores: Cores open here.
        memory: Bytes of memory here.
        isa: Instruction sets here.

    Raises:
        SettingsError: ``profile-too-large``, naming the part.
    """
    if profile.cores is not None and profile.cores > cores:
        message = f"limited:{text} asks for {profile.cores} cores, and {cores} are open here"
        raise SettingsError("profile-too-large", message, f"give {cores}core at most")
    if profile.memory is not None and profile.memory > memory:
        message = f"limited:{text} asks for {size(profile.memory)} of memory, and this machine has {size(memory)}"
        raise SettingsError("profile-too-large", message, f"give {memory // UNIT['gb']}gb at most")
    if profile.quota is not None and profile.quota > 100 * (profile.cores or cores):
        message = f"limited:{text} gives {profile.quota} % of a core's time, more than its {profile.cores or cores} cores have"
        raise SettingsError("profile-too-large", message, f"give quota{100 * (profile.cores or cores)} at most, or none")
    if profile.isa is not None and profile.isa not in isa:
        raise SettingsError("profile-too-large", f"limited:{text} asks for {profile.isa}, which this CPU lacks", "leave it out")


def label(profile: LimitProfile, cpu: str, cores: int, isa: Sequence[str]) -> str:
    """What stands in for what, in words: ``emulated on AMD EPYC: 1 of 2 cores, 2 GiB``."""
    parts = []
    if profile.cores is not None:
        parts.append(f"{profile.cores} of {cores} cores")
    if profile.memory is not None:
        parts.append(size(profile.memory))
    if profile.quota is not None:
        parts.append(f"{profile.quota} % of one core's time")
    if profile.isa is not None:
        capped = any(name.startswith(NEWER) for name in isa)
        parts.append("at most AVX2, which torch and OpenVINO alone obey" if capped else "AVX2, the newest this CPU has")
    return f"emulated on {cpu}: {', '.join(parts)}"


def size(memory: int) -> str:
    """Bytes as memory is sold: ``2 GiB``, ``512 MiB``, ``23.5 GiB``."""
    unit, name = (UNIT["gb"], "GiB") if memory >= UNIT["gb"] else (UNIT["mb"], "MiB")
    return f"{memory / unit:.4g} {name}"
