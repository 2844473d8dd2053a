# shellcheck shell=bash disable=SC2154,SC2034
# The rows. Each records its measurements under names that table.py knows.

# repeat FULL QUICK
repeat() {
    if [ -n "$quick" ]; then echo "$2"; else echo "$1"; fi
}

# Nothing cached: how long until everything is read, and what that leaves on disk and in memory.
row_nothing() {
    local round clone=$work/clone sampler
    for round in $(seq "$(repeat 3 1)"); do
        stop_srcfs
        rm -rf --one-file-system -- "$work/cache"
        start_srcfs
        python3 "$parts/sample.py" "$daemon" >"$work/memory" &
        sampler=$!
        started+=("$sampler")
        timed nothing ours search "$view"
        kill "$sampler"
        wait "$sampler" || true
        same_as_checkout "$view"
        record memory ours "$(cat -- "$work/memory")"
        record size ours "$(bytes_of "$work/cache")"
        stop_srcfs

        rm -rf --one-file-system -- "$clone"
        timed nothing clone clone_and_search "$clone"
        record size clone "$(bytes_of "$clone")"
        rm -rf --one-file-system -- "$clone"
    done
}

clone_and_search() {
    git_plain clone -q --depth 1 "file://$large" "$1"
    search "$1"
}

# Everything read before: the kernel should answer alone.
row_warm() {
    local round kind asking before counted rounds
    rounds=$(repeat 15 3)
    [ -n "$daemon" ] || start_srcfs
    have_cached
    search_all "$view" >"$work/out"
    same_as_checkout "$view"
    search_all "$checkout" >/dev/null
    find "$checkout" -type f -size +100k >/dev/null
    find "$view" -type f -size +100k >/dev/null
    for kind in grep size name; do
        asking=$(counters)
        before=$(counters)
        for round in $(seq "$rounds"); do
            warm "$kind" ours "$view"
            warm "$kind" checkout "$checkout"
        done
        counted=$(counters_since "$before" "$asking")
        note "warm-$kind" "requests in $rounds rounds: $counted"
    done
}

warm() {
    case $1 in
        grep) timed "warm-$1" "$2" search_all "$3" ;;
        size) timed "warm-$1" "$2" find "$3" -type f -size +100k ;;
        name) timed "warm-$1" "$2" find "$3" -name '*.c' ;;
    esac
}

# After a start with nothing in memory: the disk.
row_cold() {
    local round
    if [ ! -w /proc/sys/vm/drop_caches ]; then
        note cold "not measured: dropping the kernel's caches needs root"
        return 0
    fi
    for round in $(seq "$(repeat 3 1)"); do
        stop_srcfs
        have_cached
        start_srcfs
        drop_caches
        timed cold ours search_all "$view"
        same_as_checkout "$view"
        stop_srcfs
        drop_caches
        timed cold checkout search_all "$checkout"
    done
}

# After mounting, with the backing data in the page cache: the file systems' own work.
row_first() {
    local round rival slow=' ' rounds
    rounds=$(repeat 5 1)
    for rival in "${rivals[@]}"; do
        has_rival "$rival" || { note "first-$rival" "not measured: it could not be installed"; slow="$slow$rival "; }
    done
    for round in $(seq "$rounds"); do
        stop_srcfs
        have_cached
        start_srcfs
        timed first ours search_all "$view"
        same_as_checkout "$view"
        stop_srcfs
        for rival in "${rivals[@]}"; do
            case $slow in *" $rival "*) continue ;; esac
            patience=120
            ! is_reported_only "$rival" || patience=60
            mount_rival "$rival"
            timed "first-$rival" rival search "$tree"
            [ -n "$too_slow" ] || same_as_checkout "$tree"
            unmount_rival "$rival"
            if [ -n "$too_slow" ]; then
                slow="$slow$rival "
                note "first-$rival" "not done in $patience s"
            elif [ "$elapsed" -gt 20000000 ] && is_reported_only "$rival"; then
                slow="$slow$rival "
                note "first-$rival" "measured once, because it is slow"
            fi
        done
    done
}

# The bar does not name these two: they may cost the run less time.
is_reported_only() {
    [ "$1" = timefs ] || [ "$1" = ratarmount ]
}

# One file changed upstream.
row_update() {
    local round pack
    [ -n "$daemon" ] || start_srcfs
    have_cached
    for round in $(seq "$(repeat 3 1)"); do
        change "$large" "change $round"
        timed update-seconds ours verb_update
        record update ours "$(python3 -c 'import json, sys
print(sum(r["transferred"] for r in json.load(open(sys.argv[1]))["references"]))' "$work/out")"
    done
    rm -rf --one-file-system -- "$work/clone.git"
    git_plain clone -q --bare --depth 1 "file://$large" "$work/clone.git"
    pack=$(find "$work/clone.git/objects/pack" -name '*.pack' -printf '%s\n')
    record update clone "$pack"
    rm -rf --one-file-system -- "$work/clone.git"
}

verb_update() {
    verb update --json git/bench/o/large
}

# Two walks of one name at once: of one snapshot, and of an old and a new one.
row_two() {
    local round first second start
    [ -n "$daemon" ] || start_srcfs
    have_cached
    for round in $(seq "$(repeat 3 1)"); do
        search_all "$view" >/dev/null
        start=${EPOCHREALTIME/./}
        search_into "$work/first" "$start" &
        first=$!
        search_into "$work/second" "$start" &
        second=$!
        wait "$first" "$second"
        record two one "$(cat -- "$work/first")"
        record two one "$(cat -- "$work/second")"

        # The first is stopped in the middle, which costs it nothing of its snapshot (it counts as
        # walking), while the name moves and the new snapshot is read once.
        rg -uu -c -- "$pattern" "$view" >"$work/out" &
        first=$!
        started+=("$first")
        sleep 0.1
        if ! kill -STOP "$first" 2>/dev/null; then
            note two "not measured: the walk is too short to be stopped in the middle"
            wait "$first" || true
            return 0
        fi
        change "$large" "two $round"
        verb update git/bench/o/large >/dev/null
        search_all "$view" >/dev/null
        start=${EPOCHREALTIME/./}
        search_into "$work/second" "$start" &
        second=$!
        kill -CONT "$first"
        wait "$first"
        record two two "$(since "$start")"
        wait "$second"
        record two two "$(cat -- "$work/second")"
    done
}

since() {
    local elapsed=$((${EPOCHREALTIME/./} - $1))
    printf '%d.%06d' $((elapsed / 1000000)) $((elapsed % 1000000))
}

search_into() {
    search_all "$view" >/dev/null
    since "$2" >"$1"
}

# Clearing what is being read, again and again, while siblings are looked up.
row_clear() {
    local number
    stop_srcfs
    : >"$work/daemon.log"
    start_srcfs
    for number in 1 2 3 4; do
        in_page_cache "$mount/git/bench/o/sibling$number"
    done
    clear_rounds small "$(repeat 100 5)"
    clear_rounds large "$(repeat 5 2)"
}

clear_rounds() {
    local prober
    : >"$work/daemon.log"
    python3 "$parts/probe.py" "$mount/git/bench/o/sibling"{1,2,3,4} >"$work/probes" &
    prober=$!
    started+=("$prober")
    SRCFS_CACHE_DIR=$work/cache SRCFS_CONFIG=$work/config.toml \
        python3 "$parts/clear.py" "$srcfs" "$mount" "git/bench/o/$1" "$2" struct "$work/daemon.log" >"$work/windows"
    kill "$prober"
    wait "$prober" || true
    python3 "$parts/clear_report.py" "$1" "$work/windows" "$work/probes" "$work/daemon.log" "$results" "$notes"
}

# Locks, and what waits for them: by a program of its own, with caches of its own on the same disk.
row_locks() {
    (cd -- "$root" && TMPDIR=$work cargo bench --quiet --locked --bench locks -- \
        --results "$results" --notes "$notes" ${quick:+--quick})
}

# A directory of this machine, once as it is and once as a work tree of git: shown for the first time, and
# looked at again when nothing has changed. By verbs, so the start of the program is in it.
row_local() {
    local kind place round
    for kind in plain git; do
        place=$work/local-$kind
        cp -a -- "$checkout" "$place"
        rm -rf --one-file-system -- "$place/.git"
        if [ "$kind" = git ]; then
            # Debian's ignores everything, and git would have nothing to look at.
            rm -f -- "$place/.gitignore"
            git_plain -C "$place" init -q
            git_plain -C "$place" -c core.looseCompression=0 add --all --force
        fi
        rm -rf --one-file-system -- "$work/local-cache"
        printf 'refresh = "never"\n[[resource]]\nname = "tree"\npath = "%s"\n' "$place" >"$work/local.toml"
        timed "local-import-$kind" ours local_verb get
        # What was written just now is read again: see SEMANTICS.md.
        sleep 3
        local_verb update >/dev/null
        for round in $(seq "$(repeat 10 2)"); do
            timed "local-check-$kind" ours local_verb update
        done
        note "local-check-$kind" "$(find "$place" -name .git -prune -o -type f -print | wc -l) files"
        rm -rf --one-file-system -- "$place" "$work/local-cache"
    done
}

local_verb() {
    SRCFS_CACHE_DIR=$work/local-cache SRCFS_CONFIG=$work/local.toml "$srcfs" "$1" local/tree
}

# A package that nobody has yet: from the registry that npm asks here to its first listing, and to its first
# listing by npm itself. Then, read once already, the same search in both. The mount is there before, as npm is.
row_packages() {
    local round package
    command -v npm >/dev/null || {
        say "there is no npm here: no row packages"
        return 0
    }
    [ -e "$work/config.toml" ] || printf 'refresh = "never"\n' >"$work/config.toml"
    for package in typescript typescript@5.4.5; do
        for round in $(seq "$(repeat 9 2)"); do
            rm -rf --one-file-system -- "$work/cache" "$work/npm"
            mkdir -p -- "$work/npm"
            start_srcfs
            timed "package-$package" ours ls "$mount/npm/$package"
            cp -- "$work/out" "$work/listed"
            timed "package-$package" rival npm_unpacked "$package"
            cmp -s "$work/listed" "$work/out" || fail "npm lists something else than srcfs of $package"
            stop_srcfs
        done
    done
    start_srcfs
    package=$mount/npm/typescript@5.4.5
    for round in $(seq "$(repeat 15 2)"); do
        # The first of each fills the kernel's caches, and is none of the rounds.
        [ "$round" != 1 ] || { rg -uu -c interface "$package" && rg -uu -c interface "$work/npm/package"; } >/dev/null
        timed package-warm ours rg -uu -c interface "$package"
        timed package-warm rival rg -uu -c interface "$work/npm/package"
    done
    stop_srcfs
}

# npm_unpacked PACKAGE: fetches and unpacks it as people do without srcfs, with nothing cached.
npm_unpacked() {
    (
        cd -- "$work/npm" &&
            npm pack --silent --cache "$work/npm/cache" "$1" >/dev/null &&
            tar -xzf ./*.tgz &&
            ls package
    )
}
