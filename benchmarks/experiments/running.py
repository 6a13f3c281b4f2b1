"""Runs what is missing of a study, several at once, each after what it needs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from .experiment import Experiment, command, finished, folders
from .records import RESULTS, best_rate, keep, keep_analysis, keep_file

__all__ = ["run_all"]


def run_all(
    runs: Path, chosen: Sequence[Experiment], jobs: int, places: Mapping[str, str], results: Path = RESULTS
) -> None:
    """Runs what is missing, ``jobs`` at once, in the order of ``chosen`` as far as what each needs allows; keeps the
    records of finished runs. A run that was cut off is resumed.

    ``places``: folders by what stands for them in arguments. Raises ValueError with the last line of the commands that
    failed, after those beside them ended.
    """
    by_name = {experiment.name: experiment for experiment in chosen}
    waiting = [(e, seed) for e in chosen for seed in range(e.seeds)]
    left = {e.name: e.seeds for e in chosen}
    running: dict[Future[str | None], tuple[Experiment, int]] = {}
    failures: list[str] = []
    with Progress(console=Console(stderr=True)) as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("training", total=len(waiting))
        while running or (waiting and not failures):
            ready = [w for w in waiting if not any(left.get(name) for name in w[0].needs)]
            for experiment, seed in [] if failures else ready[: jobs - len(running)]:
                given = {**places, "rate": best_rate(experiment, by_name, results)} if experiment.rates else places
                running[pool.submit(_run_one, experiment, seed, runs, given)] = experiment, seed
                waiting.remove((experiment, seed))
            if not running and not failures:
                raise ValueError(f"{waiting[0][0].name} waits for what waits for it")
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                experiment, seed = running.pop(future)
                left[experiment.name] -= 1
                if failure := future.result():
                    failures.append(failure)
                elif experiment.study:
                    _keep(experiment, runs / folders(experiment)[seed], places, results)
                progress.advance(task)
    if failures:
        raise ValueError("; ".join(failures))


def _keep(experiment: Experiment, folder: Path, places: Mapping[str, str], results: Path) -> None:
    if experiment.file:
        keep_file(folder / experiment.file, experiment.study, places, results)
    elif experiment.module == "qat.analyse":
        keep_analysis(folder, experiment.study, places, results)
    else:
        keep(folder, experiment.study, places, results)


def _run_one(experiment: Experiment, seed: int, runs: Path, places: Mapping[str, str]) -> str | None:
    """Runs one command unless it is finished; returns what it complained of."""
    name = folders(experiment)[seed]
    if not finished(experiment, seed, runs):
        if experiment.trains and not experiment.resumes:
            shutil.rmtree(runs / name, ignore_errors=True)
        log = runs / "logs" / f"{name}.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as stream:
            ended = subprocess.run(command(experiment, seed, runs, places), stdout=stream, stderr=stream, check=False)
        if ended.returncode:
            said = log.read_text().splitlines() or [f"ended with {ended.returncode}"]
            return f"{name}: {said[-1]}"
    return None
