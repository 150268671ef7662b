"""The front door for Python: evaluate a checkpoint or a network in memory, load a finished run, compare two, find the variant to ship.

The command line stands on it. Importing it imports no torch: what a reference names is opened by a worker process, so that the caller's need not wait for it.
"""

from efficient360.api.evaluating import evaluate as evaluate
from efficient360.api.following import Listener as Listener
from efficient360.api.following import follow as follow
from efficient360.api.following import run_plan as run_plan
from efficient360.api.optimizing import optimize as optimize
from efficient360.api.reading import compare as compare
from efficient360.api.reading import load_report as load_report
