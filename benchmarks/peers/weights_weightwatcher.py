"""Power-law exponent, stable rank and norms of every layer by weightwatcher."""

import logging

import weightwatcher
from setting import model, tell

logging.disable(logging.CRITICAL)
details = weightwatcher.WeightWatcher(model=model().network).analyze(min_evals=1, randomize=False)
tell(alpha=details["alpha"].mean(), stable_rank=details["stable_rank"].mean(), layers=len(details))
