"""The process that writes one offline run: a JSON payload on standard input, the answer on the last line of its output.

The answer is ``{"folder", "server"}``, or ``{"problem"}``.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def main() -> None:
    """Read the payload, write the run, say where it is or why there is none."""
    given = json.load(sys.stdin)
    try:
        answer = write(given)
    # W&B's library raises many unrelated kinds, from its settings, its background service and the disk.
    except Exception as error:
        answer = {"problem": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    print(json.dumps(answer))


def write(given: Mapping[str, Any]) -> dict[str, str]:
    """Write the run: its folder, and the server it is meant for."""
    import plotly.graph_objects as go
    import wandb

    run = wandb.init(
        project=given["project"],
        entity=given["entity"] or None,
        mode="offline",
        dir=given["folder"],
        name=given["name"],
        job_type="evaluation",
        tags=given["tags"],
        config=given["config"],
        settings=_settings(),
    )
    tables = {name: wandb.Table(**table, allow_mixed_types=True) for name, table in given["tables"].items()}
    run.log({**given["metrics"], **tables, "radar": wandb.Plotly(go.Figure(given["radar"]))})
    run.summary.update(given["particulars"])
    artifact = wandb.Artifact(given["artifact"]["name"], type="evaluation", metadata=given["artifact"]["metadata"])
    for file in given["artifact"]["files"]:
        # A copy: the evaluation's folder may change before the upload.
        artifact.add_file(file, policy="mutable")
    run.log_artifact(artifact)
    run.finish()
    # Only this waits until the last record is in the file.
    wandb.teardown()
    return {"folder": str(Path(run.dir).parent), "server": run.settings.base_url}


def _settings() -> Any:
    """Nothing on the terminal, and nothing recorded that the report doesn't say: no code, git state, console or machine."""
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )


if __name__ == "__main__":
    main()
