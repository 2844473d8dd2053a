"""Prints the table: RESULTS, NOTES and MACHINE in, Markdown out."""

import statistics
import sys
from collections import defaultdict

results, notes, machine = sys.argv[1:4]
quick = "--quick" in sys.argv

values = defaultdict(list)
for line in open(results):
    row, side, value = line.rstrip("\n").split("\t")
    values[row, side].append(float(value))
remarks = defaultdict(list)
for line in open(notes):
    row, text = line.rstrip("\n").split("\t", 1)
    remarks[row].append(text)


def seconds(value):
    if value < 0.001:
        return f"{value * 1e6:.1f} us"
    return f"{value * 1e3:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def size(value):
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f} B"


def cell(sample, unit):
    middle = unit(statistics.median(sample))
    if len(sample) < 2:
        return middle
    return f"{middle} ({unit(min(sample))} to {unit(max(sample))}, {len(sample)})"


# row, what it is, (row and side of ours), the rival's name and (row and side), unit, bar, on the ratio or absolute
WARM = "a checkout on ext4"
CLONE = "`git clone --depth 1`"
ROWS = [
    ("warm-grep", "second `rg -uu`", ("warm-grep", "ours"), WARM, ("warm-grep", "checkout"), seconds, 1.10),
    ("warm-size", "`find -type f -size +100k`", ("warm-size", "ours"), WARM, ("warm-size", "checkout"), seconds, 1.10),
    ("warm-name", "`find -name`", ("warm-name", "ours"), WARM, ("warm-name", "checkout"), seconds, 1.10),
    ("cold", "first `rg -uu`, caches dropped", ("cold", "ours"), WARM, ("cold", "checkout"), seconds, 0.75),
    *(
        (f"first-{name}", "first `rg -uu` after mounting", ("first", "ours"), name, (f"first-{name}", "rival"), seconds, bar)
        for name, bar in [
            ("ghfs", 1.0),
            ("squashfuse-gzip", 1.0),
            ("squashfuse-zstd", 1.0),
            ("bindfs", 1.0),
            ("timefs", None),
            ("ratarmount", None),
        ]
    ),
    ("nothing", "nothing cached: `rg -uu`", ("nothing", "ours"), CLONE + ", `rg -uu`", ("nothing", "clone"), seconds, 0.75),
    ("size", "size on disk", ("size", "ours"), "clone with checkout", ("size", "clone"), size, 0.25),
    ("memory", "daemon's RssAnon in that run, highest", ("memory", "ours"), "", None, size, 100e6),
    ("update", "update after a one-file change: bytes", ("update", "ours"), "shallow clone", ("update", "clone"), size, 0.05),
    ("update-seconds", "the same: time of `srcfs update`", ("update-seconds", "ours"), "", None, seconds, None),
    ("two", "two `rg -uu` at once on two snapshots of a name", ("two", "two"), "on one snapshot", ("two", "one"), seconds, None),
    *(
        (f"clear-{row}-{name}", f"`clear`, {name} repository: {text}", (f"clear-{row}-{name}", "ours"), "", None, seconds, bar)
        for name in ("small", "large")
        for row, text, bar in [
            ("lock", "commit lock held", 0.05),
            ("seen", "until new lookups see it", 1.0),
            ("siblings", "siblings' lookups meanwhile", 0.05),
        ]
    ),
    ("lock-alone", "a lock that nobody else wants: lock and unlock", ("lock-alone", "ours"), "", None, seconds, 30e-6),
    ("lock-lease", "the same with the lease lock, on a local disk", ("lock-lease", "ours"), "", None, seconds, 300e-6),
    ("lock-handover", "a lock handed over between two processes", ("lock-handover", "ours"), "", None, seconds, 0.01),
    ("lock-killed", "a waiter goes on after `kill -9` of the fetcher", ("lock-killed", "ours"), "", None, seconds, 0.05),
    ("lock-commit", "commit lock held, over everything that takes it", ("lock-commit", "ours"), "", None, seconds, 0.02),
    *(
        row
        for kind, text in [("plain", "a plain directory"), ("git", "a work tree of git")]
        for row in [
            (f"local-check-{kind}", f"local, {text}: re-check, nothing changed", (f"local-check-{kind}", "ours"), "", None, seconds, 1.0),
            (f"local-import-{kind}", f"local, {text}: first import", (f"local-import-{kind}", "ours"), "", None, seconds, None),
        ]
    ),
    *(
        (f"package-{package}", f"nothing cached: `ls npm/{package}`", (f"package-{package}", "ours"), "`npm pack`, `tar -x`, `ls`", (f"package-{package}", "rival"), seconds, 1.0)
        for package in ("typescript", "typescript@5.4.5")
    ),
    ("package-warm", "second `rg -uu` in `npm/typescript@5.4.5`", ("package-warm", "ours"), "the same unpacked by npm, on ext4", ("package-warm", "rival"), seconds, 1.10),
    ("lock-crowd", "50 processes on one cold key", ("lock-crowd", "ours"), "one alone", ("lock-crowd", "rival"), seconds, 1.3),
]

print("Made by `scripts/bench" + (" --quick" if quick else "") + "`. Medians (lowest to highest, how many).")
print()
print("| | srcfs | other | ratio | bar | met | |")
print("|---|---|---|---|---|---|---|")
for row, label, ours, name, rival, unit, bar in ROWS:
    mine = values.get(ours, [])
    theirs = values.get(rival, []) if rival else []
    text = "; ".join(remarks[row])
    if not mine and not text and not theirs:
        continue
    ratio = statistics.median(mine) / statistics.median(theirs) if mine and theirs else None
    judged = ratio if rival else (statistics.median(mine) if mine else None)
    limit = "reported" if bar is None else (
        "faster" if bar == 1.0 and rival else f"<= {bar:.2f}" if rival else f"<= {unit(bar)}"
    )
    if bar is None:
        met = ""
    elif judged is None:
        met = "not measured"
    else:
        met = "yes" if (judged < bar if bar == 1.0 and rival else judged <= bar) else "**no**"
    print(
        f"| {label} | {cell(mine, unit) if mine else ''} | {name}{': ' if name and theirs else ''}"
        f"{cell(theirs, unit) if theirs else ''} | {f'{ratio:.3f}' if ratio is not None else ''} | {limit} | {met} | {text} |"
    )
print()
print(open(machine).read().strip())
