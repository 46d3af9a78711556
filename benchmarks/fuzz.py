"""Hostile input: frames to the board and to the host, instrument messages, TOML and HDF5 files.

    python benchmarks/fuzz.py frames-to-board --items 1000000

Half of the input is a valid item with some bytes changed, cut out, repeated or put in; frames are
given a valid checksum most of the time, so that what is inside gets through to whoever reads it.
Allowed: an answer, a refusal, a typed error of cimlab. Counted: any other exception (a crash), an
item that takes more than some seconds (a hang), memory that grows. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from types import FrameType

from fuzzing.files import Hdf5, Toml
from fuzzing.frames import ToBoard, ToHost
from fuzzing.instruments import Instruments
from fuzzing.topic import Topic

from cimlab.core.errors import CimError

HANG_SECONDS = 10
TELL_SECONDS = 10.0
TOPICS: dict[str, type[Topic]] = {
    "frames-to-board": ToBoard,
    "frames-to-host": ToHost,
    "instruments": Instruments,
    "toml": Toml,
    "hdf5": Hdf5,
}


class Hang(Exception):
    """An attack took too long."""


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


def attack(topic: Topic, rng: random.Random, examples: dict[str, str]) -> str:
    """One attack and what came of it; the first trace of each crash is kept."""
    try:
        signal.alarm(HANG_SECONDS)
        topic.attack(rng)
    except CimError:
        return "refused"
    except Hang:
        return "hangs"
    except Exception as error:
        trace = "".join(traceback.format_exception(error)[-3:])
        examples.setdefault(f"{type(error).__name__}: {error}"[:200], trace)
        return "crashes"
    finally:
        signal.alarm(0)
    return "answered"


def fuzz(name: str, items: int, seed: int) -> dict[str, object]:
    """Run a topic; what happened."""
    topic, rng = TOPICS[name](), random.Random(seed)  # noqa: S311 - no secret, repeatable
    outcomes, examples = Counter[str](), dict[str, str]()
    signal.signal(signal.SIGALRM, _hang)
    memory, slowest, start = 0, 0.0, time.perf_counter()
    tell = start + TELL_SECONDS
    while topic.items < items:
        before = time.perf_counter()
        outcomes[attack(topic, rng, examples)] += 1
        now = time.perf_counter()
        slowest = max(slowest, now - before)
        if not memory and topic.items > items / 5:
            memory = _memory()
        if now > tell:
            tell = now + TELL_SECONDS
            print(f"{name}: {topic.items:,} of {items:,}, {dict(outcomes)}", file=sys.stderr)
    for what, trace in examples.items():
        print(f"--- {what}\n{trace}", file=sys.stderr)
    found = {kind: outcomes[kind] for kind in ("answered", "refused", "crashes", "hangs")}
    return found | {
        "topic": name,
        "items": topic.items,
        "said": dict(topic.said),
        "slowest_s": slowest,
        "memory_grown_MB": (_memory() - (memory or _memory())) / 1024,
        "seconds": time.perf_counter() - start,
    }


def _memory() -> int:
    """Most that this process has held, kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic", choices=TOPICS)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(json.dumps(fuzz(given.topic, given.items, given.seed)))


if __name__ == "__main__":
    main()
