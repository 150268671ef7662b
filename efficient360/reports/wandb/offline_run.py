"""The process that writes one offline W&B run: a JSON payload on standard input, a JSON response on the last line of its output.

The response is ``{"folder", "server"}``, or ``{"problem"}``.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def main() -> None:
    """Read the payload, write the run, print where it is or why there is none."""
    payload = json.load(sys.stdin)
    try:
        response = write(payload)
    # W&B's library raises many unrelated exceptions, from its settings, its background service and the disk.
    except Exception as error:
        response = {"problem": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    print(json.dumps(response))


def write(payload: Mapping[str, Any]) -> dict[str, str]:
    """Write the run; return its folder and the server it is meant for."""
    import plotly.graph_objects as go
    import wandb

    run = wandb.init(
        project=payload["project"],
        entity=payload["entity"] or None,
        mode="offline",
        dir=payload["folder"],
        name=payload["name"],
        job_type="evaluation",
        tags=payload["tags"],
        config=payload["config"],
        settings=_settings(),
    )
    tables = {name: wandb.Table(**table, allow_mixed_types=True) for name, table in payload["tables"].items()}
    run.log({**payload["metrics"], **tables, "radar": wandb.Plotly(go.Figure(payload["radar"]))})
    run.summary.update(payload["summary"])
    artifact = wandb.Artifact(payload["artifact"]["name"], type="evaluation", metadata=payload["artifact"]["metadata"])
    for file in payload["artifact"]["files"]:
        # A copy: the evaluation's folder may change before the upload.
        artifact.add_file(file, policy="mutable")
    run.log_artifact(artifact)
    run.finish()
    # Only this waits until the last record is in the file.
    wandb.teardown()
    return {"folder": str(Path(run.dir).parent), "server": run.settings.base_url}


def _settings() -> Any:
    """Nothing on the terminal, and nothing recorded beyond the report: no code, git state, console or machine."""
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
