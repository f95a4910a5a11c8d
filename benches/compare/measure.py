"""Measures whole processes (wall time, CPU time, peak memory) and describes the machine."""

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# Linux reports KiB, macOS bytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass
class Measurement:
    """A process and all its children, from before its start to its end."""

    wall: float  # seconds
    cpu: float  # seconds, user and system
    peak_mib: float  # of the largest process
    stdout: str


class Failed(Exception):
    """A process whose exit code was not 0."""


def measure(command, environment=None, stdin=None, keep_output=True):
    """Runs a command to its end. `stdin` is a file; the output goes to files too, so that no pipe slows it."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        variables = {**os.environ, **(environment or {})}
        begun = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=stdin or subprocess.DEVNULL,
            stdout=out if keep_output else subprocess.DEVNULL,
            stderr=errors,
            env=variables,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if process.returncode != 0:
            errors.seek(0)
            said = (errors.read() or out.read()).decode(errors="replace").strip()
            raise Failed(f"{' '.join(map(str, command))}\nended with {process.returncode}: {said[-2000:]}")
        return Measurement(
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            peak_mib=usage.ru_maxrss * RSS_UNIT / (1 << 20),
            stdout=out.read().decode(),
        )


def median(measurements, what):
    return statistics.median(getattr(measurement, what) for measurement in measurements)


def warm(folder):
    """Reads every file once, so that all tools find them in the page cache."""
    buffer = bytearray(1 << 20)
    for path in folder.rglob("*.gz"):
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def cores():
    """The cores that this process and its children may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def available_memory():
    """The available memory in bytes, if the system reports it."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class Quiet:
    """The share of the machine that other processes have used since this object was made."""

    def __init__(self):
        self.begun, self.busy, self.own = time.perf_counter(), busy_seconds(), own_seconds()

    def used_by_others(self):
        """A share of all cores; `None` if the system does not report it."""
        if self.busy is None:
            return None
        others = (busy_seconds() - self.busy) - (own_seconds() - self.own)
        return max(others, 0) / ((time.perf_counter() - self.begun) * os.cpu_count())


def busy_seconds():
    """The CPU time of all processes and of the host's other guests since the machine's start."""
    try:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    except OSError:
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """The CPU time of this process and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def machine():
    """A line that describes the machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    return f"{processor()}, {cores()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    if sys.platform == "darwin":
        return subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True).stdout.strip()
    return platform.machine()


def markdown(header, rows):
    """A table; the first column is text, the others are numbers."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
