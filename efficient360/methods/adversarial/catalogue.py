"""Attacks by name: ours, those of torchattacks, and a user's own from a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from efficient360.core.close_names import did_you_mean
from efficient360.errors import PluginError, SettingsError
from efficient360.methods.adversarial.apgd import ApgdCe, ApgdDlr, ApgdTargeted
from efficient360.methods.adversarial.attack import Attack
from efficient360.methods.adversarial.fab import FabTargeted
from efficient360.methods.adversarial.rays import RayS
from efficient360.methods.adversarial.square import Square
from efficient360.methods.adversarial.torchattacks_adapter import RECIPES, TorchattacksAttack
from efficient360.plugins.plugin_file import imported


@final
@dataclass(frozen=True)
class Budget:
    """What an attack may spend on an example.

    Args:
        steps: Gradient steps a run.
        targets: Classes that a targeted attack tries.
        queries: Forward passes of a black-box attack.
    """

    steps: int = 100
    targets: int = 9
    queries: int = 5000


BUILT_IN: Mapping[str, Callable[[Budget], Attack]] = {
    "apgd-ce": lambda budget: ApgdCe(budget.steps),
    "apgd-dlr": lambda budget: ApgdDlr(budget.steps),
    "apgd-t": lambda budget: ApgdTargeted(budget.steps, budget.targets),
    "fab-t": lambda budget: FabTargeted(budget.steps, budget.targets),
    "square": lambda budget: Square(budget.queries),
    "rays": lambda budget: RayS(budget.queries),
}


def attack(name: str, budget: Budget) -> Attack:
    """The attack of a name, or of a user's ``path/to/file.py`` that ends in ``ATTACK = MyAttack()``.

    Raises:
        SettingsError: No such attack.
        PluginError: The file can't be imported or has no ATTACK.
    """
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name in BUILT_IN:
        return BUILT_IN[name](budget)
    if name in RECIPES:
        return TorchattacksAttack(name, budget.steps)
    raise SettingsError("unknown-attack", f"there is no attack called {name!r}", did_you_mean(name, [*BUILT_IN, *RECIPES], "or a file.py with one"))


def _from_file(path: Path) -> Attack:
    if not path.is_file():
        raise PluginError("no-plugin", f"there is no file {path}", "check the path of the attack")
    user_attack = getattr(imported(path, "attack"), "ATTACK", None)
    if not isinstance(user_attack, Attack):
        raise PluginError("no-attack", f"{path} has no ATTACK", "let it end in ATTACK = YourAttack()")
    return user_attack
