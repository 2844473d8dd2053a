# shellcheck shell=bash disable=SC2154,SC2034
# The rivals: installing them, what they read, mounting and unmounting them.
#
# Each is given its best: its data in the page cache, its index built, its repository fetched.

rivals=(bindfs squashfuse-gzip squashfuse-zstd ghfs timefs ratarmount)
ghfs_version=0.0.3
timefs_version=0.1.0

prepare_rivals() {
    case ",$rows," in *,first,*) ;; *) return 0 ;; esac
    images=$dir/images/$corpus
    [ -z "$quick" ] || images=$work/images
    mkdir -p -- "$images"
    local missing=()
    command -v bindfs >/dev/null || missing+=(bindfs)
    command -v squashfuse_ll >/dev/null || missing+=(squashfuse)
    command -v mksquashfs >/dev/null || missing+=(squashfs-tools)
    install_debian "${missing[@]}" || say "left out, not installed: ${missing[*]}"
    install_crate ghfs "$ghfs_version"
    install_crate timefs "$timefs_version"
    if [ ! -x "$dir/venv/bin/ratarmount" ]; then
        say "installing ratarmount"
        { python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" install -q ratarmount; } >>"$work/install.log" 2>&1 \
            || say "ratarmount cannot be installed here"
    fi
    local kind
    for kind in gzip zstd; do
        if [ ! -e "$images/$kind.squashfs" ] && command -v mksquashfs >/dev/null; then
            say "making the squashfs image, $kind, once"
            mksquashfs "$checkout" "$images/$kind.part" -comp "$kind" -noappend -no-progress -quiet >/dev/null
            mv -- "$images/$kind.part" "$images/$kind.squashfs"
        fi
    done
    if [ ! -e "$images/tree.tar" ]; then
        tar -cf "$images/tree.part" -C "$checkout" .
        mv -- "$images/tree.part" "$images/tree.tar"
    fi
}

install_crate() {
    [ ! -x "$dir/crates/bin/$1" ] || return 0
    say "installing $1 $2, once"
    cargo install --locked --quiet --root "$dir/crates" "$1@$2" >>"$work/install.log" 2>&1 \
        || say "$1 cannot be installed here: $(tail -n 1 -- "$work/install.log")"
}

has_rival() {
    case $1 in
        bindfs) command -v bindfs ;;
        squashfuse-*) command -v squashfuse_ll && test -e "$images/${1#*-}.squashfs" ;;
        ratarmount) test -x "$dir/venv/bin/ratarmount" ;;
        *) test -x "$dir/crates/bin/$1" ;;
    esac >/dev/null
}

# mount_rival NAME: mounts it afresh, its backing data in the page cache; its tree is then $tree.
mount_rival() {
    local point=$work/rival-$1
    mkdir -p -- "$point"
    tree=$point
    case $1 in
        bindfs)
            in_page_cache "$checkout"
            bindfs -r "$checkout" "$point"
            ;;
        squashfuse-*)
            in_page_cache "$images/${1#*-}.squashfs"
            squashfuse_ll "$images/${1#*-}.squashfs" "$point"
            ;;
        ratarmount)
            in_page_cache "$images/tree.tar"
            "$dir/venv/bin/ratarmount" --index-file "$images/tree.index" "$images/tree.tar" "$point" >/dev/null
            ;;
        timefs)
            in_page_cache "$repository"
            rival_daemon "$dir/crates/bin/timefs" mount -f "$repository" "$point"
            tree=$point/now
            ;;
        ghfs)
            # It knows github.com alone and asks the user's git: git is told where that is.
            mkdir -p -- "$work/ghfs/run"
            rival_daemon env HOME="$work/ghfs" XDG_CACHE_HOME="$work/ghfs/cache" XDG_RUNTIME_DIR="$work/ghfs/run" \
                XDG_DATA_HOME="$work/ghfs/data" XDG_STATE_HOME="$work/ghfs/state" GHFS_MOUNT_POINT="$point" \
                GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_COUNT=2 \
                GIT_CONFIG_KEY_0="url.file://$host/.insteadOf" GIT_CONFIG_VALUE_0=https://github.com/ \
                GIT_CONFIG_KEY_1=safe.directory GIT_CONFIG_VALUE_1='*' \
                "$dir/crates/bin/ghfs" daemon
            tree=$point/o/large
            ;;
    esac
    wait_for "$1" mountpoint -q "$point"
    wait_for "the tree of $1" test -e "$tree/$changed"
    # Its database comes and goes meanwhile; what is read is the worktree.
    [ "$1" != ghfs ] || in_page_cache "$work/ghfs/cache/ghfs/worktrees"
}

rival_daemon() {
    "$@" >>"$work/rival.log" 2>&1 &
    started+=("$!")
}

unmount_rival() {
    # Its daemon may still be at it for a moment.
    wait_for "unmounting $1" umount "$work/rival-$1"
}

rival_versions() {
    case ",$rows," in *,first,*) ;; *) return 0 ;; esac
    printf 'ghfs %s; timefs %s; ' "$ghfs_version" "$timefs_version"
    has_rival ratarmount && printf '%s; ' "$(version_of "$dir/venv/bin/ratarmount" --version)"
    printf 'Debian: '
    dpkg-query -W -f '${Package} ${Version}, ' bindfs squashfuse squashfs-tools 2>/dev/null || true
}
