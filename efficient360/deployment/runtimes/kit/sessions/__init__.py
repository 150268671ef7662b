"""One file per runtime: ``MODULES``, ``version()``, ``load(folder, settings)`` and, where the runtime tells, ``operators(folder, settings, images)``."""
