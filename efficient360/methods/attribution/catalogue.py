"""The built-in attribution methods, and a user's own from a file."""

from collections.abc import Callable, Mapping
from pathlib import Path

from efficient360.core.close_names import did_you_mean
from efficient360.errors import PluginError, SettingsError
from efficient360.methods.attribution.attention import AttentionRollout, CheferRelevance
from efficient360.methods.attribution.gradcam import GradCam
from efficient360.methods.attribution.gradients import GradientXInput, IntegratedGradients
from efficient360.methods.attribution.method import AttributionMethod
from efficient360.methods.attribution.occlusion import Occlusion
from efficient360.plugins.plugin_file import imported

METHODS: Mapping[str, Callable[[int, int], AttributionMethod]] = {
    "integrated-gradients": IntegratedGradients,
    "gradient-x-input": lambda steps, doublings: GradientXInput(),
    "gradcam": lambda steps, doublings: GradCam(),
    "attention-rollout": lambda steps, doublings: AttentionRollout(),
    "chefer": lambda steps, doublings: CheferRelevance(),
    "occlusion": lambda steps, doublings: Occlusion(),
}
"""By name, built from the number of steps and of doublings."""


def attribution_method(name: str, steps: int, doublings: int) -> AttributionMethod:
    """The attribution method of a name, or of a user's ``path/to/file.py`` that ends in ``EXPLAINER = MyMethod()``.

    Args:
        name: One of ``METHODS``, or a path.
        steps: Gradients an image, for Integrated Gradients.
        doublings: How many times it may double the steps of an image.

    Raises:
        SettingsError: No such method.
        PluginError: The file can't be imported or has no EXPLAINER.
    """
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name not in METHODS:
        raise SettingsError("unknown-explainer", f"there is no explainer called {name!r}", did_you_mean(name, METHODS, "or a file.py with your own"))
    return METHODS[name](steps, doublings)


def _from_file(path: Path) -> AttributionMethod:
    if not path.is_file():
        raise PluginError("no-plugin", f"there is no file {path}", "check the path of the explainer")
    method = getattr(imported(path, "explainer"), "EXPLAINER", None)
    if not isinstance(method, AttributionMethod):
        raise PluginError("no-explainer", f"{path} has no EXPLAINER", "let it end in EXPLAINER = YourMethod()")
    return method
