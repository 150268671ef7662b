"""``python -m efficient360`` and the ``efficient360`` command."""

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # Python puts the current folder first: a torch.py lying there beside downloaded weights would be imported in place of the library.
    try:
        if sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109 - pathlib could be one of them
            del sys.path[0]
    except FileNotFoundError:
        pass

from efficient360.cli.entry import run


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
