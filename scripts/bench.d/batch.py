"""The row "batch": `srcfs get` of N small repositories, for growing N.

    batch.py SRCFS WORK QUICK

Makes the repositories below WORK (hard links of one template of three files, reached by git's
`insteadOf` under a host that does not exist), gets them from an empty cache with one job and with as many
as there are cores, and once more when all are cached. Prints the time and the processor time per key, the
largest memory srcfs itself had at any time (VmHWM; git's processes are not in it), and whether the cost
per key grows with N.
"""

import os
import resource
import shutil
import subprocess
import sys
import time

srcfs, work, quick = sys.argv[1], sys.argv[2], sys.argv[3] == "yes"
sizes = [1, 10, 100] if quick else [1, 100, 1_000, 10_000]

os.makedirs(work)
environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
environment["GIT_CONFIG_NOSYSTEM"] = "1"
environment["GIT_CONFIG_GLOBAL"] = os.path.join(work, "gitconfig")
for who in "AUTHOR", "COMMITTER":
    environment |= {f"GIT_{who}_NAME": "bench", f"GIT_{who}_EMAIL": "bench@localhost"}


def git(*arguments, stdin=b""):
    done = subprocess.run(["git", *arguments], input=stdin, env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout


def make_repositories(host):
    with open(environment["GIT_CONFIG_GLOBAL"], "w") as file:
        file.write(f'[url "file://{host}/"]\n\tinsteadOf = https://batch.invalid/\n')
    with open(os.path.join(work, "config.toml"), "w") as file:
        file.write('[[host]]\nname = "bench"\nurl = "https://batch.invalid/{path}.git"\n')
    template = os.path.join(work, "template.git")
    git("init", "-q", "--bare", "-b", "main", "--template=", template)
    stream = "commit refs/heads/main\ncommitter bench <bench@localhost> 1700000000 +0000\ndata 1\nx\n"
    for name in "README.md", "LICENSE", "src/lib.rs":
        text = f"{name} of a small repository\n" * 20
        stream += f"M 100644 inline {name}\ndata {len(text)}\n{text}\n"
    git("--git-dir", template, "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", stdin=stream.encode())
    os.makedirs(f"{host}/o")
    for number in range(sizes[-1]):
        shutil.copytree(template, f"{host}/o/r{number:05}.git", copy_function=os.link)


def highest(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            return max((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), default=0)
    except OSError:
        return 0


def get(count, options):
    """Seconds, processor seconds (git's included) and KiB of one run."""
    keys = "".join(f"git/bench/o/r{number:05}\n" for number in range(count))
    listed = os.path.join(work, "keys")
    with open(listed, "w") as file:
        file.write(keys)
    command = [srcfs, "--cache-dir", f"{work}/cache", "--config", f"{work}/config.toml"]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, memory = time.monotonic(), 0
    with open(os.path.join(work, "out"), "w") as out:
        child = subprocess.Popen([*command, "get", *options, "--from", listed], env=environment, stdout=out)
        while child.poll() is None:
            memory = max(memory, highest(child.pid))
            time.sleep(0.005 if count < 1_000 else 0.05)
    seconds = time.monotonic() - start
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode:
        sys.exit(f"srcfs get ended with {child.returncode}; see {work}/out")
    with open(os.path.join(work, "out")) as out:
        told = sum(line.startswith("git/bench/o/r") for line in out)
    if told != count:
        sys.exit(f"{told} of {count} keys were told")
    return seconds, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, memory


def main():
    make_repositories(os.path.join(work, "host"))
    print("| keys | jobs | seconds | per key | processor time per key | memory of srcfs |")
    print("|---|---|---|---|---|---|")
    costs = {}
    for options, jobs in (["--jobs", "1"], "1"), ([], f"default ({os.cpu_count()})"):
        for count in sizes:
            shutil.rmtree(f"{work}/cache", ignore_errors=True)
            for what in jobs, f"{jobs}, all cached":
                seconds, used, memory = get(count, options)
                costs.setdefault(what, []).append((count, used / count, memory))
                print(
                    f"| {count:,} | {what} | {seconds:.2f} | {seconds / count * 1e3:.2f} ms "
                    f"| {used / count * 1e3:.2f} ms | {memory / 1024:.1f} MiB |",
                    flush=True,
                )
    print()
    for what, rows in costs.items():
        # From the third size on what a process costs once is in no figure any more.
        (few, before, _), (many, after, _) = rows[-2:]
        kib = (rows[-1][2] - rows[-2][2]) / (many - few)
        verdict = "linear" if after <= 1.3 * before else "MORE THAN LINEAR"
        print(f"- jobs {what}: {many:,} keys cost {after / before:.2f} times per key what {few:,} do: {verdict}; "
              f"{kib:.2f} KiB of memory for each further key")


main()
