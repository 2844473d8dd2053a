# shellcheck shell=bash disable=SC2154,SC2034
# Timing, recording, and taking everything away again.

say() {
    printf '%s bench: %s\n' "$(date +%T)" "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# record ROW SIDE VALUE: one measurement, in seconds or bytes.
record() {
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results"
}

# note ROW TEXT: what stands in the last column of the row.
note() {
    printf '%s\t%s\n' "$1" "$2" >>"$notes"
}

# How many seconds one search may take.
patience=120

# timed ROW SIDE COMMAND...: runs it, its output in $work/out, and records the seconds. `too_slow` says
# whether a rival's search was ended by `timeout`, which is no measurement.
timed() {
    local row=$1 side=$2 start end status=0
    shift 2
    start=${EPOCHREALTIME/./}
    "$@" >"$work/out" 2>"$work/err" || status=$?
    end=${EPOCHREALTIME/./}
    elapsed=$((end - start)) too_slow=''
    if [ "$status" -eq 124 ] && [ "$side" = rival ]; then
        too_slow=yes
        return 0
    fi
    if [ "$status" -ne 0 ]; then
        tail -n 5 -- "$work/err" >&2
        fail "row $row, $side: '$*' ended with $status"
    fi
    record "$row" "$side" "$((elapsed / 1000000)).$(printf %06d $((elapsed % 1000000)))"
}

# search DIR: reads every byte of every file in DIR, by full path, as people do.
search() {
    timeout "$patience" rg -uu --glob '!.git' -c -- "$pattern" "$1"
}

# The row of the table says `rg -uu`, and means it. A glob costs time.
search_all() {
    timeout "$patience" rg -uu -c -- "$pattern" "$1"
}

# same_as_checkout DIR: whether the last search, of DIR, found what the checkout holds. A fast wrong
# answer must not become a number.
same_as_checkout() {
    sed "s|^$1/||" <"$work/out" | sort | sha256sum >"$work/found"
    if [ ! -e "$work/expected" ]; then
        search_all "$checkout" | sed "s|^$checkout/||" | sort | sha256sum >"$work/expected"
    fi
    cmp -s "$work/found" "$work/expected" || fail "what was found in $1 is not what the checkout holds"
}

# wait_for WHAT COMMAND...: until it succeeds; a minute at most.
wait_for() {
    local what=$1 tries=0
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 3000 ] || fail "waited a minute for $what"
        sleep 0.02
    done
}

bytes_of() {
    du -s -B1 -- "$1" | cut -f1
}

# Only what this run started and mounted: all of it is below $work, or in `started`.
started=()

clean_up() {
    local status=$? point pid
    trap - EXIT INT TERM HUP
    while read -r point; do
        umount -- "$point" 2>/dev/null || fusermount3 -u -z -- "$point" 2>/dev/null || umount -l -- "$point" 2>/dev/null || true
    done < <(mount_points | sort -r)
    for pid in "${started[@]}"; do
        kill -CONT "$pid" 2>/dev/null || true
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ "$status" -ne 0 ] && [ -s "$results" ]; then
        [ ! -s "$work/daemon.log" ] || tail -n 5 -- "$work/daemon.log" >&2
        say "ended early, with $status; what was measured until then:"
        table || true
    fi
    if [ -n "$(mount_points)" ]; then
        say "left because something is still mounted there: $work"
    else
        rm -rf --one-file-system -- "$work"
    fi
    exit "$status"
}

# Mount points below $work. (mountinfo writes a space as \040; $work has none but what --dir brought.)
mount_points() {
    awk -v work="$work/" 'index($5, work) == 1 { print $5 }' /proc/self/mountinfo
}

table() {
    machine_line >"$work/machine"
    python3 "$parts/table.py" "$results" "$notes" "$work/machine" ${quick:+--quick}
}

version_of() {
    "$@" 2>/dev/null | head -n 1 | tr -d '\n' || true
}

machine_line() {
    local memory
    memory=$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)
    printf '%s cores, %s memory, Linux %s, %s, %s. ' "$(nproc)" "$memory" "$(uname -r | sed "s/[^0-9.].*//")" \
        "$(findmnt -n -o FSTYPE -T "${checkout:-$work}")" "$(date -u +%F)"
    printf '%s; %s; %s; ' "$(version_of "$srcfs" --version)" "$(version_of git --version)" "$(version_of rg --version)"
    rival_versions
    printf 'load at the end %s.\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
}
