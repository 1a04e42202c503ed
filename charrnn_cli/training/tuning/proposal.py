"""The next point of a first round, from optuna's sampler: one that was not tried.

All trials of a study have one seed, so that a point tried twice would give the same loss twice.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna

from charrnn_cli.seeds import derive_seed
from charrnn_cli.training.tuning.dimension import Params, Space, number_of_points, untried_point
from charrnn_cli.training.tuning.spec import StudySpec

STARTUP_TRIALS = 5  # drawn at random, before the sampler follows the losses
ATTEMPTS = 10  # of the sampler, before any untried point will do


def propose(spec: StudySpec, trials: Sequence[optuna.trial.FrozenTrial]) -> Params:
    """Return the parameters of the trial that follows these; that of a default recipe first.

    They depend on the study and the trials alone, so that a study that is resumed goes on as
    before.
    """
    if not trials:
        return spec.default
    generator = np.random.Generator(np.random.PCG64(derive_seed("tune", spec.seed, len(trials))))
    tried = [params_of(each) for each in trials]
    # The sampler learns of its proposals, as of trials that run, in a copy that nobody keeps.
    copy = optuna.create_study(
        sampler=optuna.samplers.TPESampler(
            multivariate=True,
            constant_liar=True,
            n_startup_trials=STARTUP_TRIALS,
            warn_independent_sampling=False,
            seed=int(generator.integers(2**31)),
        )
    )
    copy.add_trials(trials)
    proposed: Params = {}
    for _ in range(ATTEMPTS):
        proposed = suggested(copy.ask(), spec.space)
        if proposed not in tried:
            return proposed
    total = number_of_points(spec.space)
    if np.isfinite(total):
        first = int(generator.integers(min(int(total), 2**62)))
        proposed = untried_point(spec.space, tried, first) or proposed
    return proposed


def suggested(trial: Any, space: Space) -> dict[str, Any]:
    """Return the parameters of a trial, and draw those that it lacks."""
    params = {}
    for each in space:
        if each.values:
            params[each.name] = trial.suggest_categorical(each.name, list(each.values))
        elif each.is_integer:
            params[each.name] = trial.suggest_int(each.name, *each.bounds, log=each.is_log)
        else:
            params[each.name] = trial.suggest_float(each.name, *each.bounds, log=each.is_log)
    return params


def params_of(trial: optuna.trial.FrozenTrial) -> Mapping[str, Any]:
    """Return the parameters of a trial, which may not have begun."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}
