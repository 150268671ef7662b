"""The data in a pickle, read without ever importing or calling anything that the pickle names.

Every name of a class or function becomes a *stand-in*: a class of this module that keeps what the pickle gives it and does nothing. Names of types that only
hold values (NumPy's scalars and arrays, paths, dates, options, the containers, layers and optimizers of the usual libraries) are taken; a pickle that needs
any other name is refused, and the name is told. Even an accepted name is never looked up: ``functools.partial(os.remove, …)`` could not run if both were.

A pickle's instructions act on the objects that it has itself built. Those are plain Python values and stand-ins. A stand-in can be called (which makes an
instance), filled like a dictionary or a list, or given a state (which is kept). Its class refuses to be changed, so that one file can't alter what the next
one meets.
"""

import pickle
import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

_TENSORS: Final = re.compile(
    r"torch\._utils\._rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state)|torch\._tensor\._rebuild_from_type_v2|torch\.(nn\.parameter\.)?"
    r"(Tensor|Parameter|Size|device)|torch\.(cuda\.)?\w+Storage|torch\.storage\.(Typed|Untyped)Storage|torch\.serialization\._get_layout"
    r"|torch\.(b?float\w*|u?int\d+|bool|half|double|complex\w+)"
)
_NUMPY: Final = re.compile(
    r"numpy\.(_?core\.)(multiarray\.(scalar|_reconstruct)|numeric\._frombuffer)|numpy\.(ndarray|dtype|bool_?|u?int\w*|float\w*|longlong|ulonglong|str_|bytes_)"
    r"|numpy\.dtypes\.\w+|numpy\.random\.\w+(\.\w+)?"
)
_PLAIN: Final = re.compile(
    r"builtins\.(int|float|str|bool|bytes|bytearray|complex|list|dict|tuple|set|frozenset|range|slice|object|type|NoneType)|_codecs\.encode"
    r"|collections\.(OrderedDict|defaultdict|Counter|deque)|argparse\.Namespace|types\.(SimpleNamespace|NoneType)|functools\.partial|copyreg\._reconstructor"
    r"|pathlib\.(_local\.)?(Pure)?(Posix|Windows)?Path|datetime\.(date|datetime|time|timedelta|timezone)|decimal\.Decimal|fractions\.Fraction|uuid\.UUID|typing\.\w+"
)
_LIBRARIES: Final = re.compile(
    r"(torch\.(nn|optim|amp|cuda\.amp|ao\.nn|torch_version|distributed\.checkpoint)|timm\.(models|layers|optim|scheduler|utils|loss|data)|torchvision\.(models|ops)|omegaconf"
    r"|lightning|pytorch_lightning|lightning_fabric|lightning_utilities|torchmetrics|easydict|addict|yacs|fvcore\.common\.config|ml_collections|mmengine|mmcv)"
    r"\.[\w.]*\w"
)
"""Libraries whose options, layers, optimizers and schedulers trainers save beside the weights."""
_STRINGS: Final = ("torch.torch_version.TorchVersion", "builtins.str", "numpy.str_")


class StandInType(type):
    """The class of stand-ins, which can't be changed once it is there."""

    path: str

    def __setattr__(cls, name: str, value: Any) -> None:
        raise pickle.UnpicklingError(f"it sets {name!r} of a class")

    def __delattr__(cls, name: str) -> None:
        raise pickle.UnpicklingError(f"it deletes {name!r} of a class")


class StandIn(metaclass=StandInType):
    """In the place of an instance.

    Args:
        args: What it was called with.
        state: What it was given as its state, ``None`` where it got none.
    """

    path = ""
    __slots__ = ("args", "keywords", "state")
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    state: Any

    def __new__(cls, *args: Any, **keywords: Any) -> "StandIn":
        made = super().__new__(cls)
        made.args, made.keywords, made.state = args, keywords, None
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, _key: Any, _value: Any) -> None:
        """Of a kind of dictionary that is not known to be one, nothing is kept."""

    def extend(self, _items: Any) -> None:
        """Of a kind of list or set that is not known to be one, nothing is kept."""

    append = add = extend


class DictStandIn(dict[Any, Any], metaclass=StandInType):
    """In the place of a kind of dictionary: filled by the pickle, its own state dropped."""

    path = ""

    def __init__(self, *args: Any, **_keywords: Any) -> None:
        given = args[0] if args else None
        if isinstance(given, dict):
            self.update(given)
        elif isinstance(given, list | tuple):
            self.update({pair[0]: pair[1] for pair in given if isinstance(pair, list | tuple) and len(pair) == 2})

    def __setstate__(self, _state: Any) -> None:
        pass


class ListStandIn(list[Any], metaclass=StandInType):
    """In the place of a kind of list or set."""

    path = ""

    def __init__(self, *args: Any, **_keywords: Any) -> None:
        if args and isinstance(args[0], list | tuple):
            self[:] = args[0]

    def add(self, item: Any) -> None:
        """A set is filled by this."""
        self.append(item)

    def __setstate__(self, _state: Any) -> None:
        pass


class TextStandIn(StandIn):
    """Becomes the text it is made of."""

    __slots__ = ()

    def __new__(cls, *args: Any, **_keywords: Any) -> Any:
        return args[0] if args and type(args[0]) is str else StandIn(*args)


class BytesStandIn(StandIn):
    """In the place of ``_codecs.encode``, by which the second protocol writes bytes."""

    __slots__ = ()

    def __new__(cls, *args: Any, **_keywords: Any) -> Any:
        return args[0].encode("latin1") if args and type(args[0]) is str else b""


class AgainStandIn(StandIn):
    """In the place of a function whose first argument is the kind, or the function, that makes the object."""

    __slots__ = ()

    def __new__(cls, *args: Any, **_keywords: Any) -> Any:
        kind = args[0] if args else None
        if not isinstance(kind, StandInType):
            raise pickle.UnpicklingError("it makes an object of something that is no class")
        return kind(*args[2]) if cls.path.endswith("_v2") and len(args) > 2 and isinstance(args[2], tuple) else kind()


_BASES: Final[Mapping[str, type]] = {
    **dict.fromkeys(("collections.OrderedDict", "collections.defaultdict", "collections.Counter", "builtins.dict"), DictStandIn),
    **dict.fromkeys(("collections.deque", "builtins.list", "builtins.set", "builtins.frozenset", "builtins.tuple", "torch.Size"), ListStandIn),
    **dict.fromkeys(_STRINGS, TextStandIn),
    "_codecs.encode": BytesStandIn,
    **dict.fromkeys(("copyreg._reconstructor", "torch._tensor._rebuild_from_type_v2"), AgainStandIn),
}
_DICTIONARIES: Final = re.compile(r".*\.(AttributeDict|EasyDict|CfgNode|ConfigDict|addict\.Dict|ModuleDict|ParameterDict)")
"""Subclasses of dict, whose pickles fill them; torch's two of these names are modules, which a pickle gives a state instead."""


class InertUnpickler(pickle.Unpickler):
    """Builds plain values and stand-ins.

    Args:
        file: Where the pickle begins.
        persistent: What stands for a tensor's storage, by what the pickle says of it.
    """

    def __init__(self, file: BinaryIO, persistent: Callable[[Any], Any]) -> None:
        super().__init__(file, encoding="latin1")
        self._persistent = persistent
        self._made: dict[str, StandInType] = {}

    def find_class(self, module: str, name: str) -> StandInType:
        """The stand-in for a name.

        Raises:
            UnpicklingError: The name is of none of the types that only hold values.
        """
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))  # what Python 2 called them
        path = f"{module}.{name}"
        if "." in name or not any(allowed.fullmatch(path) for allowed in (_TENSORS, _NUMPY, _PLAIN, _LIBRARIES)):
            raise pickle.UnpicklingError(f"GLOBAL {path}")
        if path not in self._made:
            base = DictStandIn if _DICTIONARIES.fullmatch(path) and not path.startswith("torch.") else _BASES.get(path, StandIn)
            self._made[path] = StandInType(name, (base,), {"path": path} if base in (DictStandIn, ListStandIn) else {"path": path, "__slots__": ()})
        return self._made[path]

    def persistent_load(self, pid: Any) -> Any:
        """What stands for a storage; the class of a layer, with which older files keep its source, is its stand-in."""
        if isinstance(pid, tuple) and len(pid) > 1 and pid[0] == "module" and isinstance(pid[1], StandInType):
            return pid[1]
        return self._persistent(pid)
