"""What the first of several processes tells the others before they train: plan and state."""

import dataclasses
from pathlib import Path
from typing import Any

from charrnn_cli.config import TrainConfig
from charrnn_cli.storage.runs import Run
from charrnn_cli.training.decisions import Decisions
from charrnn_cli.training.ending import Ending
from charrnn_cli.training.job import TrainingJob
from charrnn_cli.training.plan import Plan
from charrnn_cli.training.resume import ResumePoint
from charrnn_cli.training.run_state import RunState
from charrnn_cli.training.snapshot import (
    TrainingSnapshot,
    snapshot_from_bytes,
    snapshot_to_bytes,
)
from charrnn_cli.training.windows import make_windows


def plan_message(job: TrainingJob, plan: Plan, state: RunState) -> tuple[dict[str, Any], bytes]:
    """Return a message about a run that is about to start or to go on, and its state.

    The state is in the format of a resume file.
    """
    message = {
        "run": job.run.name,
        "path": str(job.run.path),
        "config": plan.config.to_json(),
        "decisions": dataclasses.asdict(plan.decisions),
        "seconds_per_step": plan.seconds_per_step,
        "evaluation_seconds": plan.evaluation_seconds,
    }
    snapshot = job.snapshot or TrainingSnapshot(
        checkpoint=state.checkpoint(),
        tensors=state.trainer.snapshot(),
        counters=state.counters,
        source=job.source,
    )
    return message, snapshot_to_bytes(snapshot)


def job_and_plan(message: dict[str, Any], data: bytes) -> tuple[TrainingJob, Plan]:
    """Return the job and the plan of a message, with the text that this process reads.

    The deadline is the first process's. Raises as `TrainingJob.resumed` does.
    """
    run = Run(message["run"], Path(message["path"]))
    point = ResumePoint(run, snapshot_from_bytes(data), None)
    config = TrainConfig.from_json(message["config"])
    job = dataclasses.replace(TrainingJob.resumed(point), config=config)
    decisions = Decisions(**message["decisions"])
    plan = Plan(
        config=config,
        decisions=decisions,
        split=job.split,
        windows=make_windows(job.corpus, job.split, config, decisions.seed),
        seconds_per_step=message["seconds_per_step"],
        evaluation_seconds=message["evaluation_seconds"],
        ending=Ending(0, 0.0),
        deadline=None,
    )
    return job, plan
