"""What readers make of damaged files: how many are refused, unchanged, or wrong.

    python benchmarks/reliability_readers.py --copies 4000

Takes a small file of every format that is read (those of the tests, from frames with known labels),
damages it in one place at a time, reads it, and prints the table of docs/reliability.md. The last
columns must be zero; the script ends with status 1 where they are not, and prints the cases.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from mutations import KINDS, VERDICTS, Example, mutate
from reader_examples import FORMATS


def table(rows: dict[str, Counter[str]]) -> str:
    """Counts of verdicts in Markdown, with their sum."""
    lines = ["| | copies | " + " | ".join(VERDICTS) + " |", "|---|" + "---:|" * (len(VERDICTS) + 1)]
    rows = {**rows, "**all**": sum(rows.values(), Counter())}
    for name, counts in rows.items():
        cells = (f"{counts[verdict]:,}" for verdict in VERDICTS)
        lines.append(f"| {name} | {counts.total():,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=4000, help="damaged copies of each format")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("error")
    by_format: dict[str, Counter[str]] = {}
    by_kind: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    bad = []
    for name in FORMATS:
        kinds = [k for k in KINDS if name != "ase-traj" or k != "number edit"]  # no text
        with tempfile.TemporaryDirectory() as folder:
            example = Example(Path(folder), name)
            rng = np.random.default_rng(options.seed)
            counts = by_format[name] = Counter()
            for number in range(options.copies):
                kind = kinds[number % len(kinds)]
                damaged = mutate(example.data, kind, rng)
                if damaged == example.data:
                    continue
                verdict, error = example.verdict(damaged)
                counts[verdict] += 1
                by_kind[kind][verdict] += 1
                if verdict in ("wrong", "crashed"):
                    bad.append(f"{name}, copy {number} ({kind}): {verdict} {error}")
    print(table(by_format), table(by_kind), sep="\n\n")
    print(*bad, sep="\n", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
