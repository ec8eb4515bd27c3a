"""Learning-rate schedules: factors of the highest rate, pure functions of the step."""

import math


def warm_cosine(step: int, warmup_steps: int, total_steps: int) -> float:
    """Rise linearly over the warm-up, then fall along half a cosine to zero.

    Args:
        step: Optimiser steps done, from 0.
        warmup_steps: Steps of the warm-up; 0 for none.
        total_steps: Steps of the whole training.

    Returns:
        A factor in [0, 1], above 0 at the first step.

    Source: Loshchilov & Hutter, SGDR, ICLR 2017; warm-up as in Goyal et al., 2017.

    >>> [round(warm_cosine(step, 2, 6), 2) for step in range(7)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
