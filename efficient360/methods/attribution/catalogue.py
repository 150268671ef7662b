"""The explainers there are, and a user's own from a file."""

from collections.abc import Callable, Mapping
from pathlib import Path

from efficient360.errors import PluginError, SettingsError
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.gradcam import GradCam
from efficient360.methods.attribution.gradient_input import GradientInput
from efficient360.methods.attribution.integrated_gradients import IntegratedGradients
from efficient360.methods.attribution.occlusion import Occlusion
from efficient360.methods.attribution.relevance import TokenRelevance
from efficient360.methods.attribution.rollout import AttentionRollout
from efficient360.plugins.plugin_file import imported

EXPLAINERS: Mapping[str, Callable[[int, int], Explainer]] = {
    "integrated-gradients": IntegratedGradients,
    "gradient-x-input": lambda steps, doublings: GradientInput(),
    "gradcam": lambda steps, doublings: GradCam(),
    "attention-rollout": lambda steps, doublings: AttentionRollout(),
    "chefer": lambda steps, doublings: TokenRelevance(),
    "occlusion": lambda steps, doublings: Occlusion(),
}
"""By name, made for a number of steps and of doublings."""


def explainer(name: str, steps: int, doublings: int) -> Explainer:
    """The explainer of a name, or of a user's ``path/to/file.py`` that ends in ``EXPLAINER = MyExplainer()``.

    Args:
        name: One of ``EXPLAINERS``, or a path.
        steps: Gradients an image, for those that integrate.
        doublings: How often they may double the steps of an image.

    Raises:
        SettingsError: No such explainer.
        PluginError: The file can't be imported or has no EXPLAINER.
    """
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name not in EXPLAINERS:
        raise SettingsError("unknown-explainer", f"there is no explainer called {name!r}", f"known: {', '.join(EXPLAINERS)}, or a file.py with one")
    return EXPLAINERS[name](steps, doublings)


def _from_file(path: Path) -> Explainer:
    if not path.is_file():
        raise PluginError("no-plugin", f"there is no file {path}", "check the path of the explainer")
    found = getattr(imported(path, "explainer"), "EXPLAINER", None)
    if not isinstance(found, Explainer):
        raise PluginError("no-explainer", f"{path} has no EXPLAINER", "let it end in EXPLAINER = YourExplainer()")
    return found
