"""Turns what the rounds of the row `clear` left into results: percentiles, not medians."""

import re
import sys

name, windows, probes, log, results, notes = sys.argv[1:]


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))] if values else None


rounds = [tuple(map(float, line.split())) for line in open(windows)]
samples = [tuple(map(float, line.split())) for line in open(probes)]
held = [
    (int(found[1]) / 1e6, found[2].startswith("clear"))
    for line in open(log, errors="replace")
    if (found := re.search(r"the commit lock of .* was held for (\d+) us: (.*)", line))
]
# A lookup that began or ended while a clear ran.
during = [took for at, took in samples if any(at + took >= start and at <= end for start, end, *_ in rounds)]
apart = [took for _, took in samples]
seen = [window[2] for window in rounds]
ended = [window[3] for window in rounds]

with open(results, "a") as out, open(notes, "a") as remarks:

    def say(row, value, text):
        if value is None:
            remarks.write(f"clear-{row}-{name}\tnot measured: {text}\n")
            return
        out.write(f"clear-{row}-{name}\tours\t{value:.6f}\n")
        remarks.write(f"clear-{row}-{name}\t{text}\n")

    if held:
        say(
            "lock",
            percentile([took for took, _ in held], 0.99),
            f"p99 of {len(held)}: {sum(1 for _, clear in held if clear)} clears and the publications between them; "
            f"longest clear {1e3 * max([took for took, clear in held if clear] or [0]):.1f} ms, "
            f"longest publication {1e3 * max([took for took, clear in held if not clear] or [0]):.1f} ms",
        )
    else:
        say("lock", None, "the program's log does not tell")
    say(
        "seen",
        max(seen),
        f"worst of {len(seen)}, median {percentile(seen, 0.5):.3f} s, asking the upstream included; "
        f"the verb ended after {percentile(ended, 0.5):.3f} s",
    )
    say(
        "siblings",
        percentile(during, 0.99),
        f"p99 of {len(during)} lookups during clears, worst {1e3 * max(during or [0]):.1f} ms; "
        f"p99 of all {len(apart)}, fetches and walks included: {1e3 * (percentile(apart, 0.99) or 0):.1f} ms",
    )
