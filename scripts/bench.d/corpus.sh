# shellcheck shell=bash disable=SC2154,SC2034
# What is read: a checkout, a bare repository with the same in one commit, and the host that serves it.

need_programs() {
    local missing=() pair
    for pair in git:git rg:ripgrep python3:python3 fusermount3:fuse3 findmnt:util-linux xz:xz-utils; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    install_debian "${missing[@]}" || fail "please install: ${missing[*]}"
}

# install_debian PACKAGE...: fails where that needs rights that are not there.
install_debian() {
    [ $# -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || return 1
    say "installing $*"
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >>"$work/install.log" 2>&1 \
        || { apt-get update >>"$work/install.log" 2>&1 \
            && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >>"$work/install.log" 2>&1; }
}

# git without the user's configuration and with one identity.
git_plain() {
    env GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_COUNT=1 \
        GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' \
        GIT_AUTHOR_NAME=bench GIT_AUTHOR_EMAIL=bench@example.org \
        GIT_COMMITTER_NAME=bench GIT_COMMITTER_EMAIL=bench@example.org \
        GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' git "$@"
}

prepare_corpus() {
    if [ -n "$quick" ]; then
        pattern=needle changed=d000/f00000.c small_files=300
        repository=$work/quick.git checkout=$work/quick
        generate "$repository" 20000 1
        mkdir -- "$checkout"
        git_plain --git-dir="$repository" --work-tree="$checkout" checkout -q -f main
    else
        pattern=raw_spin_lock_irqsave changed=Makefile small_files=5000
        [ -n "$checkout" ] || checkout=$dir/linux
        [ -n "$repository" ] || repository=$dir/linux.git
        [ -d "$repository/objects" ] || commit_linux
    fi
    corpus=$(git_plain --git-dir="$repository" rev-parse 'HEAD^{tree}')
}

commit_linux() {
    local archive=/usr/src/linux-source-6.1.tar.xz
    [ -e "$archive" ] || install_debian linux-source-6.1 || fail "please install linux-source-6.1"
    say "unpacking and committing $archive, once"
    mkdir -p -- "$work/linux"
    tar -xJf "$archive" -C "$work/linux" --strip-components=1
    git_plain init -q --bare -b main "$work/linux.git"
    git_plain --git-dir="$work/linux.git" --work-tree="$work/linux" add -f -A .
    git_plain --git-dir="$work/linux.git" --work-tree="$work/linux" commit -q -m linux-source-6.1
    git_plain --git-dir="$work/linux.git" repack -adfq
    rm -rf --one-file-system -- "$checkout" "$repository"
    mv -- "$work/linux" "$checkout"
    mv -- "$work/linux.git" "$repository"
}

# generate REPOSITORY FILES SEED: a bare repository of that many text files.
generate() {
    git_plain init -q --bare -b main "$1"
    python3 "$parts/generate.py" "$2" "$3" | git_plain --git-dir="$1" fast-import --quiet
}

# The host `bench`: repositories below $work/host. The large one borrows the corpus's objects, so that
# commits can be made on it and the corpus stays as it is.
prepare_host() {
    local number
    host=$work/host
    large=$host/o/large.git
    mkdir -p -- "$host/o"
    git_plain init -q --bare -b main "$large"
    printf '%s/objects\n' "$repository" >"$large/objects/info/alternates"
    git_plain --git-dir="$large" update-ref refs/heads/main "$(git_plain --git-dir="$repository" rev-parse HEAD)"
    generate "$host/o/small.git" "$small_files" 2
    for number in 1 2 3 4; do
        generate "$host/o/sibling$number.git" 50 "$((number + 2))"
    done
    printf '[[host]]\nname = "bench"\nurl = "file://%s/{path}.git"\n' "$host" >"$work/config.toml"
}

# change REPOSITORY TEXT: a commit on main that appends TEXT to one file.
change() {
    local blob tree commit
    blob=$({ git_plain --git-dir="$1" cat-file blob "main:$changed"; printf '%s\n' "$2"; } \
        | git_plain --git-dir="$1" hash-object -w --stdin)
    GIT_INDEX_FILE=$work/index git_plain --git-dir="$1" read-tree main
    GIT_INDEX_FILE=$work/index git_plain --git-dir="$1" update-index --cacheinfo "100644,$blob,$changed"
    tree=$(GIT_INDEX_FILE=$work/index git_plain --git-dir="$1" write-tree)
    commit=$(git_plain --git-dir="$1" commit-tree -p main -m "$2" "$tree")
    git_plain --git-dir="$1" update-ref refs/heads/main "$commit"
}
