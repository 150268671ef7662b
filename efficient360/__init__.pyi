from efficient360.api import compare as compare
from efficient360.api import evaluate as evaluate
from efficient360.api import load_report as load_report
from efficient360.core.findings import Finding as Finding
from efficient360.core.measurement import Failure as Failure
from efficient360.core.measurement import Measurement as Measurement
from efficient360.core.measurement import Metric as Metric
from efficient360.datasets.spec import DatasetSpec as DatasetSpec
from efficient360.dimensions.dimension import Dimension as Dimension
from efficient360.errors import Efficient360Error as Efficient360Error
from efficient360.evaluator import Evaluator as Evaluator
from efficient360.evaluator import ExampleEvaluator as ExampleEvaluator
from efficient360.execution.plan import Plan as Plan
from efficient360.execution.plan import Step as Step
from efficient360.models.checkpoint import CheckpointSpec as CheckpointSpec
from efficient360.models.checkpoint import Preprocessing as Preprocessing
from efficient360.models.view.layout import TokenLayout as TokenLayout
from efficient360.models.view.protocol import ViTView as ViTView
from efficient360.optimization import optimize as optimize
from efficient360.reports.comparing.verdicts import Comparison as Comparison
from efficient360.reports.gate.run_check import CheckResult as CheckResult
from efficient360.reports.gate.run_check import check as check
from efficient360.reports.report import Report as Report
from efficient360.reports.run_comparison import RunComparison as RunComparison
from efficient360.reports.run_report import RunReport as RunReport

__version__: str
