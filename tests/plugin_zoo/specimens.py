"""Evaluators that behave as ill as they can within one process, each as the source of a plug-in file."""

HEAD = """
import builtins, dataclasses, json, locale, logging, os, random, signal, sys, time, warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
import numpy as np
import PIL.Image, PIL.ImageFile
import torch
from efficient360.core.figures import Bars, Curve, Series
from efficient360.evaluator import ONE, Better, Evaluator, ExampleEvaluator, Failure, Interval, Measurement, Metric, Need, Scores, Status, TorchModel

THING = Metric("thing", ONE, Better.NEITHER, "A thing.")
"""

WHOLE = '''
{extra}

@dataclass(frozen=True)
class Specimen(Evaluator):
    """A specimen of the zoo."""

    name: ClassVar[str] = "{name}"
    version: ClassVar[int] = 1
    metrics: ClassVar = (THING,)
    needs: ClassVar = frozenset({{Need.EXAMPLES}})
{members}
    def evaluate(self, model, context):
{body}
        yield Measurement(THING, 0.5)
'''

WITNESS = '''
NLL = Metric("witnessed", ONE, Better.LOWER, "Negative log-likelihood, by hand.")

@dataclass(frozen=True)
class Witness(ExampleEvaluator):
    """Runs the model anew on decoded images, and computes with NumPy."""

    name: ClassVar[str] = "{name}"
    version: ClassVar[int] = 1
    metrics: ClassVar = (NLL,)
    needs: ClassVar = frozenset({{Need.EXAMPLES}})

    def score(self, model, batch):
        logits = model(batch.images).detach().numpy()
        logits = logits - logits.max(axis=1, keepdims=True)
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        chosen = probabilities[np.arange(len(batch)), batch.labels.numpy()]
        yield Scores(NLL, torch.from_numpy(-np.log(chosen)) + batch.images.mean((1, 2, 3)) + batch.labels)
'''


def whole(name: str, body: str = "pass", extra: str = "", members: str = "") -> str:
    """A plug-in with one evaluator that does ``body`` before it measures something."""
    inside = "\n".join("        " + line for line in body.strip().splitlines())
    return HEAD + WHOLE.format(name=name, body=inside, extra=extra, members="".join(f"    {line}\n" for line in members.splitlines()))


def witness(name: str) -> str:
    """A plug-in that behaves: what it measures tells whether model, images, labels and arithmetic are as they were."""
    return HEAD + WITNESS.format(name=name)


CHANGES_MODEL = {
    "deletes_head": "del model.network.head",
    "zeroes_weights": "with torch.no_grad():\n    [p.zero_() for p in model.network.parameters()]",
    "zeroes_data": "[p.data.zero_() for p in model.network.parameters()]",
    "shifts_one_weight": "next(model.network.parameters()).data.reshape(-1)[0] += 1e-3",
    "changes_normalisation": "model.module.mean.fill_(0.9)",
    "leaves_a_hook": "model.network.register_forward_hook(lambda module, given, output: output * 0)",
    "leaves_training_mode": "model.module.train()",
    "leaves_gradients": "model.module.requires_grad_(True)\nmodel(torch.zeros(1, 3, 32, 32)).sum().backward()",
    "halves_precision": "model.module.half()",
    "replaces_head": "model.network.head = torch.nn.Linear(32, 10)",
    "replaces_forward": "model.network.forward = lambda images: torch.zeros(len(images), 10)",
    "replaces_module": "object.__setattr__(model, 'module', torch.nn.Identity())",
    "changes_epsilon": "model.network.norm.eps = 1.0",
    "drops_classes": "object.__setattr__(model, 'classes', 3)",
}
"""Bodies that leave the model other than it was."""

CHANGES_PROCESS = {
    "dtype_double": "torch.set_default_dtype(torch.float64)",
    "device_meta": "torch.set_default_device('meta')",
    "numpy_raises": "np.seterr(all='raise')",
    "no_gradients": "torch.set_grad_enabled(False)",
    "deterministic": "torch.use_deterministic_algorithms(True)\ntorch.set_num_threads(3)\ntorch.set_float32_matmul_precision('medium')",
    "seeds_all": "torch.manual_seed(1)\nnp.random.seed(1)\nrandom.seed(1)",
    "clears_environment": "os.environ.clear()",
    "leaves_folder": "os.chdir('/')\nos.umask(0o777)",
    "clears_path": "sys.path[:] = []\nsys.argv[:] = ['x']",
    "drops_streams": "sys.stdout = sys.stderr = None",
    "ignores_signals": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.setitimer(signal.ITIMER_REAL, 3600)",
    "warnings_are_errors": "warnings.simplefilter('error')\nwarnings.showwarning = None",
    "disables_logging": "logging.disable(50)\nlogging.getLogger().handlers.clear()\nlogging.getLogger().setLevel(1)",
    "pillow_limits": "PIL.Image.MAX_IMAGE_PIXELS = 1\nPIL.ImageFile.LOAD_TRUNCATED_IMAGES = True",
    "prints_otherwise": "np.set_printoptions(precision=1)\nsys.setrecursionlimit(400)",
    "patches_pillow": "PIL.Image.open = lambda *_: PIL.Image.new('RGB', (8, 8))",
    "patches_numpy": "np.exp = lambda x: 1 / 0\nnp.log = np.sin",
    "patches_torch": "torch.nn.functional.linear = lambda *a: 0\ntorch.nn.Linear.forward = lambda self, x: x\ntorch.Tensor.mean = lambda *a: 0",
    "patches_ours": "TorchModel.__call__ = lambda self, images: torch.zeros(len(images), 10)",
    "patches_class": "type(model.network).forward = lambda self, images: torch.zeros(len(images), 10)",
    "patches_builtins": "builtins.sum = lambda *_: 0\nbuiltins.sorted = lambda *_, **__: []\njson.dumps = lambda *_: ''",
    "replaces_labels": "object.__setattr__(context.examples, 'labels', context.examples.labels * 0)",
    "unlocks_labels": "context.examples.labels.setflags(write=True)\ncontext.examples.labels[:] = 0",
    "writes_into_batches": "for b in context.predicted(context.examples).batches(16):\n    [t.zero_() for t in (b.labels, b.images, b.clean_logits)]",
}
"""Bodies that leave something else other than it was; what they measure is theirs."""

FAILS = {
    "writes_labels": ("context.examples.labels[:] = 0", "crashed"),
    "exits": ("sys.exit(0)", "crashed"),
    "own_base_exception": ("raise type('Mine', (BaseException,), {})('by hand')", "crashed"),
    "str_raises": ("raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})()", "crashed"),
    "huge_message": ("raise ValueError('\\x1b[31m<b>' * 500_000)", "crashed"),
    "recurses": ("def down(): return down()\ndown()", "crashed"),
    "condition_nan": ("yield Measurement(THING, 0.1, conditions={'x': float('nan')})", "bad-outcome"),
    "condition_object": ("yield Measurement(THING, 0.1, conditions={'x': object()})", "bad-outcome"),
    "condition_surrogate": ("yield Measurement(THING, 0.1, conditions={'x': '\\ud800'})", "bad-outcome"),
    "figure_five": ("yield Measurement(THING, 0.1, extra=(5,))", "bad-outcome"),
    "figure_nan": ("yield Measurement(THING, 0.1, extra=(Curve('t', 'x', 'y', (Series('s', (0.0,), (float('nan'),)),)),))", "bad-outcome"),
    "figure_of_wrong_types": ("yield Measurement(THING, 0.1, extra=(Bars('t', 'x', 'y', ({},), (1.0,)),))", "bad-outcome"),
    "value_is_text": ("object.__setattr__(m := Measurement(THING, 0.1), 'value', 'much')\nyield m", "bad-outcome"),
    "yields_numbers": ("yield 0.5", "no-outcome"),
    "yields_without_end": ("i = 0\nwhile True:\n    i += 1\n    yield Measurement(THING, 0.1, conditions={'i': i})", "endless-outcomes"),
    "another_unit": ("yield Measurement(Metric('thing', 'B', Better.NEITHER, 'x'), 0.1)", "wrong-unit"),
}
"""Bodies that end in one failure of their own, with its code."""

BROKEN = {
    "no_version": (whole("no_version").replace("    version: ClassVar[int] = 1\n", ""), "broken-contract"),
    "no_needs": (whole("no_needs").replace("    needs: ClassVar = frozenset({Need.EXAMPLES})\n", ""), "broken-contract"),
    "no_dataclass": (whole("no_dataclass").replace("@dataclass(frozen=True)\n", ""), "broken-contract"),
    "no_evaluate": (whole("no_evaluate").replace("def evaluate(", "def evaluated("), "broken-plugin"),
    "dependencies_raise": (whole("dependencies_raise", members="def cache_dependencies(self): return 1 / 0"), "broken-plugin"),
    "others_raise": (whole("others_raise", members="def others(self): return 1 / 0"), "broken-plugin"),
    "object_setting": (whole("object_setting", members="thing: Any = object()"), "not-plain"),
    "nan_setting": (whole("nan_setting", members="thing: float = float('nan')"), "broken-plugin"),
    "exits_at_import": (whole("exits_at_import", extra="sys.exit(0)"), "broken-plugin"),
    "raises_at_import": (whole("raises_at_import", extra="import helpers_that_are_not_there"), "broken-plugin"),
}
"""Plug-ins that can't even be prepared, with the code of their failure."""

MEANT = {
    "numpy_value": "yield Measurement(Metric('thing', ONE, Better.NEITHER, 'x'), np.float32(0.25), conditions={'n': np.int64(3)})",
    "tensor_value": "yield Measurement(THING, torch.tensor([0.25]), n=torch.tensor(4), interval=Interval(np.float64(0), torch.tensor(1.0), 't'))",
    "path_condition": "yield Measurement(THING, np.array(0.25), conditions={'file': Path('a')})",
    "integer_value": "yield Measurement(THING, 1, n=2.0, samples=[1, np.float32(0.5)])",
}
"""Bodies whose first outcome is plainly meant, and taken."""
