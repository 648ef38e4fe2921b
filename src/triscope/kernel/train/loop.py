"""The one training loop, over Lightning Fabric: it stops on a loss that is not finite.

It resumes exactly. What a step draws at random depends on (seed, step, batch of the step, rank) and
on nothing before it, so that a training resumed at any step ends with the same numbers.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.multiprocessing.spawn import ProcessRaisedException

from triscope.errors import TrainingError
from triscope.kernel.protocols import LearnsByGradient
from triscope.kernel.train import checkpoint
from triscope.kernel.train.batches import Batches, Stream, mixed
from triscope.kernel.train.devices import Losses, fabric_of
from triscope.kernel.train.interrupt import how_to_go_on, interruptible
from triscope.kernel.train.log import Log
from triscope.kernel.train.plan import FREE, Plan, optimizer_of
from triscope.kernel.train.state import Best, Mean

Progress = Callable[[int, int, Mapping[str, float]], None]
Score = Callable[[], float]


@dataclass(frozen=True)
class Report:
    """How a training went."""

    steps: int  # updates done, those of earlier runs included
    losses: Mapping[str, float]  # of the last step
    seconds: float  # of this run, without the part before a resumption
    resumed_at: int = 0  # steps that an earlier run had done
    stopped_early: bool = False  # the score did not rise any more
    best_score: float | None = None  # of the weights that were kept


@dataclass
class _Task:
    """What one process of the training works on."""

    model: LearnsByGradient
    batches: Batches
    plan: Plan
    folder: Path | None
    progress: Progress | None
    key: str
    score: Score | None
    hand_over: Path | None = None  # where the first of several processes leaves what was learned


@dataclass
class _State:
    """What the loop holds between two steps."""

    network: nn.Module
    optimizer: optim.Optimizer
    stream: Stream
    mean: Mean | None
    step: int = 0
    best: Best = field(default_factory=Best)
    losses: dict[str, float] = field(default_factory=dict)


def train(
    model: LearnsByGradient,
    batches: Batches,
    plan: Plan,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    *,
    key: str = "",
    score: Score | None = None,
) -> Report:
    """Train the model's network in place; afterwards it is on the CPU and in eval mode.

    ``model.losses(batch)`` answers the parts of the loss, ``"loss"`` the one to minimise;
    ``model.network()`` holds every module that the losses use. ``batches`` are walked again and
    again until ``plan.steps`` updates are done. With a ``folder`` the losses go to ``losses.csv``
    and the training goes on from the folder's checkpoint; ``key`` names what the training belongs
    to (a hash of the data), and a checkpoint of another key is refused. ``progress(step, steps,
    losses)`` is called after each step. ``score()`` (larger is better) is called each
    ``plan.score_every`` steps; the weights with the best score are kept.

    With ``plan.devices`` above 1 each device has its process: model, batches and callbacks must be
    picklable. Ctrl-C writes a checkpoint and raises KeyboardInterrupt with how to go on.
    Raises TrainingError: a loss that is not finite, a checkpoint of another training.
    """
    task = _Task(model, batches, plan, Path(folder) if folder else None, progress, key, score)
    fabric = fabric_of(plan)
    if plan.devices == 1:
        return fabric.launch(_run, task)
    return _in_processes(fabric, task)


def _in_processes(fabric: Any, task: _Task) -> Report:
    """Train in several processes and bring what the first one learned into this process."""
    with tempfile.TemporaryDirectory() as place:
        task.hand_over = Path(place)
        try:
            report = Report(**fabric.launch(_run_unpacked, pickle.dumps(task)))
        except ProcessRaisedException as error:
            reason = str(error).strip().splitlines()[-1]
            raise TrainingError(
                f"a process of {task.plan.devices} failed: {reason.partition(': ')[2] or reason}"
            ) from error
        learned = checkpoint.read(task.hand_over)
    if learned is not None:
        task.model.network().load_state_dict(learned["network"])
    task.model.network().eval()
    return report


def _run_unpacked(fabric: Any, packed: bytes) -> dict[str, Any]:
    """One of several processes: packed, since Fabric would look for modules inside the task."""
    return asdict(_run(fabric, pickle.loads(packed)))


def _run(fabric: Any, task: _Task) -> Report:
    """One process of the training."""
    devices = [fabric.device.index] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        network = task.model.network()
        wrapped, optimizer = fabric.setup(Losses(task.model), optimizer_of(task.plan, network))
        state = _start(fabric, task, network, optimizer)
        began, resumed_at = time.perf_counter(), state.step
        log = None
        if task.folder is not None and fabric.is_global_zero:
            log = Log(task.folder, state.step, task.plan.tensorboard)
        try:
            early = _descend(fabric, task, wrapped, state, log)
        finally:
            if log is not None:
                log.close()
        _finish(fabric, task, state)
    seconds = time.perf_counter() - began
    return Report(state.step, state.losses, seconds, resumed_at, early, state.best.score)


def _start(fabric: Any, task: _Task, network: nn.Module, optimizer: optim.Optimizer) -> _State:
    """The state of the folder's checkpoint, or a fresh one."""
    plan, rank, world = task.plan, fabric.global_rank, fabric.world_size
    mean = Mean(network, plan.ema) if plan.ema else None
    found = checkpoint.read(task.folder) if task.folder else None
    at = (int(found["epoch"]), int(found["index"])) if found else (0, 0)
    if found and task.folder:
        # A field that is younger than the checkpoint had its default then.
        known = {**_fixed(Plan(steps=1)), **found["plan"]}
        checkpoint.must_match(task.folder, "plan", known, _fixed(plan))
        checkpoint.must_match(task.folder, "training", {"key": found["key"]}, {"key": task.key})
    stream = Stream(task.batches, plan.seed, at, rank, world)
    state = _State(network, optimizer, stream, mean)
    if found:
        _take_up(state, found, task.model)
    return state


def _take_up(state: _State, found: dict[str, Any], model: LearnsByGradient) -> None:
    state.network.load_state_dict(found["network"])
    state.optimizer.load_state_dict(found["optimizer"])
    state.step, state.losses = int(found["step"]), dict(found["losses"])
    state.best = Best(**found["best"])
    if state.mean is not None:
        for name, value in found["mean"].items():
            state.mean.values[name].copy_(value)
    if isinstance(generator := getattr(model, "generator", None), torch.Generator):
        generator.set_state(found["generator"])


def _keep(fabric: Any, task: _Task, state: _State) -> None:
    """Write all that the next step depends on."""
    if task.folder is None or not fabric.is_global_zero:
        return
    generator = getattr(task.model, "generator", None)
    content = {
        "plan": _fixed(task.plan),
        "key": task.key,
        "step": state.step,
        "epoch": state.stream.epoch,
        "index": state.stream.index,
        "losses": state.losses,
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "mean": state.mean.values if state.mean else {},
        "best": state.best.to_dict(),
        "generator": generator.get_state() if isinstance(generator, torch.Generator) else None,
    }
    checkpoint.write(task.folder, content)


def _fixed(plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in asdict(plan).items() if name not in FREE}


def _descend(fabric: Any, task: _Task, wrapped: Any, state: _State, log: Log | None) -> bool:
    """Step until the plan is done (False) or the score stays down (True)."""
    plan = task.plan
    with interruptible(fabric.world_size == 1) as asked:
        while state.step < plan.steps:
            if plan.patience and state.best.misses >= plan.patience:
                _keep(fabric, task, state)
                return True
            rate = plan.rate(state.step)
            state.losses = _step(fabric, task, wrapped, state, rate)
            if log is not None:
                log.add(state.step, rate, state.losses)
            if task.score and plan.score_every and state.step % plan.score_every == 0:
                _take_score(task.score, state)
            done = state.step == plan.steps
            if done or (plan.checkpoint_every and state.step % plan.checkpoint_every == 0):
                _keep(fabric, task, state)
            if task.progress is not None and fabric.is_global_zero:
                task.progress(state.step, plan.steps, state.losses)
            if asked and not done:
                _keep(fabric, task, state)
                raise KeyboardInterrupt(how_to_go_on(task.folder, state.step, plan.steps))
    return False


def _step(fabric: Any, task: _Task, wrapped: Any, state: _State, rate: float) -> dict[str, float]:
    """One update of the weights; the losses, averaged over its batches and processes."""
    plan = task.plan
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    wrapped.train()
    sums: dict[str, float] = {}
    for turn in range(plan.accumulate):
        seed = mixed(plan.seed, state.step, turn, fabric.global_rank)
        torch.manual_seed(seed)
        batch = fabric.to_device(next(state.stream))
        torch.manual_seed(seed)  # again: the batch may have opened an epoch or drawn its own
        with fabric.no_backward_sync(wrapped, enabled=turn < plan.accumulate - 1):
            parts = wrapped(batch)
            for name, value in _numbers(fabric, parts, state.step + 1, task).items():
                sums[name] = sums.get(name, 0.0) + value / plan.accumulate
            fabric.backward(parts["loss"] / plan.accumulate)
    if plan.clip:
        fabric.clip_gradients(wrapped, state.optimizer, max_norm=plan.clip)
    state.optimizer.step()
    state.optimizer.zero_grad()
    if state.mean is not None:
        state.mean.update(state.network)
    state.step += 1
    return sums


def _numbers(fabric: Any, parts: dict[str, Tensor], step: int, task: _Task) -> dict[str, float]:
    """The parts of the loss as numbers, averaged over the processes; they must be finite."""
    if "loss" not in parts:
        raise TrainingError(
            f"losses() answered {', '.join(parts) or 'nothing'}: expected a part named 'loss', "
            "the one to minimise."
        )
    stacked = torch.stack([value.detach().float() for value in parts.values()])
    if fabric.world_size > 1:
        stacked = fabric.all_reduce(stacked, reduce_op="mean")
    values = dict(zip(parts, stacked.tolist(), strict=True))
    if not all(math.isfinite(value) for value in values.values()):
        shown = ", ".join(f"{name}={value:.6g}" for name, value in values.items())
        raise TrainingError(
            f"the loss at step {step} of {task.plan.steps} is not finite: {shown}. Lower "
            f"learning_rate (now {task.plan.learning_rate:g}), set clip, or look for images that "
            "are empty or not finite."
        )
    return values


def _take_score(score: Score, state: _State) -> None:
    state.network.eval()
    with state.mean.applied(state.network) if state.mean else contextlib.nullcontext():
        state.best.take(float(score()), state.network)


def _finish(fabric: Any, task: _Task, state: _State) -> None:
    """Put the weights to keep into the network, on the CPU."""
    if state.best.weights:
        state.network.load_state_dict(state.best.weights)
    elif state.mean is not None:
        state.mean.exchange(state.network)
    state.network.to("cpu").eval()
    if task.hand_over is not None and fabric.is_global_zero:
        checkpoint.write(task.hand_over, {"network": state.network.state_dict()})
