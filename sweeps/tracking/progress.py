"""The progress of a sweep: counted by the driver, shown in a terminal or a log."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import nsmallest
from statistics import median

from sweeps.config import ObjectiveConfig, SweepConfig
from sweeps.search.ranking import EpochValue
from sweeps.tracking.delivery_progress import DeliveryProgress
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.time_left import EpochRate, Survival, Trained, Work
from sweeps.tracking.trial_progress import TrialProgress

# An estimate means something once trials have trained this many epochs each, on average.
_MIN_EPOCHS = 4
_N_RECENT = 32


class Stage(StrEnum):
    """What a sweep does now."""

    STARTING = "starting"
    TRAINING = "training"
    STOPPING = "stopping"
    DELIVERING = "delivering to MLflow"


@dataclass(frozen=True)
class Step:
    """A step of a sweep, in words, and when it began in monotonic seconds."""

    stage: Stage
    text: str
    began: float


@dataclass(frozen=True)
class Failure:
    """A trial that failed, and why."""

    point_id: str
    name: str
    reason: str


def _unknown() -> None:
    """Return None: nothing is known of the delivery yet."""


@dataclass
class Progress:
    """Counters of a sweep and its trials so far. Written by the driver's thread, read by the display.

    It exists from the start of the command: `sweep_id` and `cluster` are empty until they are known. `n_epochs` is the
    length of the longest trial. `n_at_once` counts packs if trials are packed, else trials. `deadline` is when
    `budget.seconds` is used up, in monotonic seconds.
    """

    sweep_id: str
    n_points: int
    n_epochs: int
    objective: ObjectiveConfig
    n_at_once: int = 1
    packs: bool = False
    cluster: str = ""
    deadline: float = math.inf
    trials: dict[str, TrialProgress] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    ended: dict[PointState, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    ready_ms: dict[str, int] = field(default_factory=dict)  # first report of each worker
    where_to_look: Callable[[], str] = str  # "" until it is known
    delivery: Callable[[], DeliveryProgress | None] = _unknown
    clock: Callable[[], float] = time.monotonic
    _n_most_running: int = 0
    _rate: EpochRate = field(default_factory=EpochRate)
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_N_RECENT))  # seconds an epoch of any trial
    _reported: float = 0.0

    @classmethod
    def of(cls, config: SweepConfig, sweep_id: str = "") -> "Progress":
        """Return the counters of a sweep that starts."""
        return cls(sweep_id, config.n_trials, config.n_epochs, config.objectives[0])

    @property
    def n_ended(self) -> int:
        """Return how many points have ended, in any state."""
        return sum(self.ended.copy().values())

    @property
    def n_to_come(self) -> int:
        """Return how many points have not started."""
        return max(0, self.n_points - self.n_ended - len(self.running))

    @property
    def stage(self) -> Stage:
        """Return what the sweep does now."""
        return self.steps[-1].stage if self.steps else Stage.STARTING

    @property
    def best_point(self) -> str | None:
        """Return the trial with the best value so far; None if no trial has one."""
        return next((trial.point_id for trial in self.leaders(1)), None)

    @property
    def best_value(self) -> float:
        """Return the best value so far; NaN if no trial has one."""
        return next((trial.value for trial in self.leaders(1)), math.nan)

    @property
    def has_reports(self) -> bool:
        """Whether any worker of this start has reported."""
        return bool(self._reported)

    def enter(self, stage: Stage, text: str = "") -> None:
        """Begin the next step of the sweep; `text` says what it is, by default the stage."""
        if not self.steps or self.steps[-1].text != (text or stage):
            self.steps.append(Step(stage, text or str(stage), time.monotonic()))

    def point_started(self, point_id: str, name: str = "", n_epochs: int | None = None, at_ms: int = 0) -> None:
        """Count a started point, which trains `n_epochs` at most."""
        self.trials[point_id] = TrialProgress(point_id, name, n_epochs or self.n_epochs, clock_ms=at_ms or _now_ms())
        self.running[point_id] = 0
        self._n_most_running = max(self._n_most_running, len(self.running))

    def point_resumed(self, point_id: str, at_ms: int) -> None:
        """Count a point as running again, after the epochs that it has trained."""
        trial = self.trials[point_id]
        if point_id not in self.running:
            self.ended[trial.state] -= 1
        trial.resume(at_ms)
        self.running[point_id] = trial.epoch

    def worker_ready(self, worker: str, time_ms: int) -> None:
        """Record when a worker first reported."""
        self.ready_ms.setdefault(worker, time_ms)

    def epoch_ended(
        self, point_id: str, epoch: int, metrics: Mapping[str, float], at_ms: int = 0, worker: str = ""
    ) -> None:
        """Count an epoch that a worker ended at a time, measure how long it took, and update the best value."""
        trial = self.trials[point_id]
        # The start of a worker's process is no part of its first trial's epochs.
        if at_ms and (ms := trial.advance(epoch, at_ms, self.ready_ms.get(worker, 0))) is not None:
            if ms[1]:
                self._recent.append(ms[0] / 1000 / ms[1])
            self._rate.add(at_ms / 1000, ms[0] / 1000, ms[1])
        trial.epoch = epoch
        self.running[point_id] = epoch
        self._reported = self.clock()
        if self.objective.metric in metrics:
            trial.add_value(epoch, metrics[self.objective.metric], self.objective)

    def point_ended(self, point_id: str, state: PointState, reason: str | None = None) -> None:
        """Count an ended point; unless it was killed, its untrained epochs count as done."""
        self.running.pop(point_id, None)
        self.ended[state] = self.ended.get(state, 0) + 1
        trial = self.trials.setdefault(point_id, TrialProgress(point_id, "", self.n_epochs))
        trial.state = state
        if state is PointState.FAILED and reason is not None:
            self.failures.append(Failure(point_id, trial.name, reason))

    def restore(self, point_id: str, name: str, n_epochs: int, state: PointState, values: Sequence[EpochValue]) -> None:
        """Count a point that ended in an earlier start of the sweep, with the value that ranked it after each epoch."""
        trial = self.trials[point_id] = TrialProgress(point_id, name, n_epochs)
        for epoch, value in values:
            trial.epoch = epoch
            trial.add_value(epoch, value, self.objective)
        self.point_ended(point_id, state)

    def running_trials(self) -> list[TrialProgress]:
        """Return the running trials, in the order in which they started."""
        return [self.trials[point_id] for point_id in list(self.running)]

    def leaders(self, n: int) -> list[TrialProgress]:
        """Return the `n` trials that lead by the first objective, best first; a failed trial is none of them."""
        sign = 1 if self.objective.direction == "minimize" else -1
        measured = [
            t for t in list(self.trials.values()) if math.isfinite(t.value) and t.state is not PointState.FAILED
        ]
        return nsmallest(n, measured, key=lambda trial: sign * trial.value)

    def epochs(self) -> tuple[int, int]:
        """Return how many epochs are done, and how many there are in all trials."""
        trials = list(self.trials.values())
        done = sum(trial.n_done for trial in trials)
        known = sum(trial.n_epochs for trial in trials)
        return done, known + round(max(0, self.n_points - len(trials)) * self._typical_epochs(trials))

    def seconds_left(self) -> float | None:
        """Estimate the seconds to the end from the rate of recent epochs; None until trials have trained a few.

        Trials to come are expected to be stopped early as often as those before them.
        """
        if not self.running and not self.n_to_come:
            return 0.0
        if self._rate.n_epochs < _MIN_EPOCHS * max(1, len(self.running)):
            return None
        now, per_epoch = self.clock(), median(list(self._recent))
        since_report = now - self._reported
        rate = self._rate.per_second(max(0.0, since_report - per_epoch))
        if rate <= 0:
            return None
        left = max(0.0, self._work(per_epoch).seconds(rate) - min(since_report, per_epoch))
        return min(left, max(0.0, self.deadline - now))

    def _work(self, per_epoch: float) -> Work:
        """Return what is left to train; a trial without measured epochs takes `per_epoch` seconds for each."""
        trials = list(self.trials.values())
        survival = Survival([Trained(t.epoch, is_stopped=t.is_stopped) for t in trials if t.epoch])
        running = [
            (survival.remaining(t.epoch, t.n_epochs), t.seconds_per_epoch or per_epoch)
            for t in trials
            if t.point_id in self.running
        ]
        whole = survival.remaining(0, round(self._typical_epochs(trials))) if self.n_to_come else 0.0
        return Work(running, self.n_to_come, whole, per_epoch, self._n_slots())

    def _n_slots(self) -> int | None:
        """Return how many trials train at the same time; None while packs of the first ones still start."""
        if not self.packs:
            return max(1, self.n_at_once)
        return self._n_most_running if len(self.ready_ms) >= self.n_at_once else None

    def _typical_epochs(self, trials: list[TrialProgress]) -> float:
        return sum(trial.n_epochs for trial in trials) / len(trials) if trials else float(self.n_epochs)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
