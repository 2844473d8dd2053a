# shellcheck shell=bash disable=SC2154,SC2034
# Our own mount: starting, stopping, asking it what it was asked.

daemon=''

# start_srcfs: a daemon of its own, with a cache and a configuration of its own.
start_srcfs() {
    cache=$work/cache
    mount=$work/mount
    view=$mount/git/bench/o/large
    mkdir -p -- "$mount"
    # The lock's held time is what the row `clear` reads.
    SRCFS_LOG=warn,srcfs::cache::key_lock=debug verb mount --foreground "$mount" >/dev/null 2>>"$work/daemon.log" &
    daemon=$!
    started+=("$daemon")
    wait_for "the mount" test -e "$mount/.srcfs/status.json"
}

stop_srcfs() {
    [ -n "$daemon" ] || return 0
    verb unmount "$mount" >/dev/null
    local tries=0
    until daemon_gone; do
        tries=$((tries + 1))
        sleep 0.02
        [ "$tries" -eq 500 ] || continue
        # A copy of the mount in another mount namespace keeps it alive. That is not ours to end.
        say "the daemon lives 10 s after its unmount; still mounted for:" \
            "$(grep -l -F -- "$mount" /proc/[0-9]*/mountinfo 2>/dev/null | tr '\n' ' ')"
        kill "$daemon"
    done
    wait "$daemon" 2>/dev/null || true
    daemon=''
}

daemon_gone() {
    ! kill -0 "$daemon" 2>/dev/null
}

# verb ARGUMENTS: the program with this run's cache and configuration, and no other.
verb() {
    exec_or_run env SRCFS_CACHE_DIR="$work/cache" SRCFS_CONFIG="$work/config.toml" "$srcfs" "$@"
}

# In a background job the shell must become the program, so that its id is the daemon's.
exec_or_run() {
    if [ "$BASHPID" != $$ ]; then
        exec "$@"
    fi
    "$@"
}

# have_cached: the large repository in the cache, its pack in the page cache.
have_cached() {
    verb get git/bench/o/large >/dev/null 2>>"$work/daemon.log"
    in_page_cache "$work/cache/v1/mirrors"
}

# in_page_cache PATH...: reads all of it.
in_page_cache() {
    find "$@" -type f -print0 | xargs -0 cat >/dev/null
}

drop_caches() {
    sync
    echo 3 >/proc/sys/vm/drop_caches
}

# counters: the daemon's requests so far, as JSON.
counters() {
    python3 -c 'import json, sys; print(json.dumps(json.load(open(sys.argv[1]))["requests"]))' "$mount/.srcfs/status.json"
}

# counters_since BEFORE ASKING: what came since BEFORE, less what asking costs itself.
counters_since() {
    python3 - "$1" "$2" "$(counters)" <<'EOF'
import json, sys
before, asking, after = map(json.loads, sys.argv[1:])
# `before` was asked right after `asking`, so their difference is what asking costs.
moved = {k: after[k] - before[k] - (before[k] - asking[k]) for k in after}
shown = [f"{k} {max(moved[k], 0):+d}" for k in ("OPEN", "READ", "LOOKUP_IN_VIEW")]
other = [f"{k} {v:+d}" for k, v in moved.items() if v > 0 and k not in ("OPEN", "READ", "LOOKUP_IN_VIEW")]
print(", ".join(shown) + (" (others: " + ", ".join(other) + ")" if other else ""))
EOF
}
