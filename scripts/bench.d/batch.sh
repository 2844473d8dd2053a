# shellcheck shell=bash disable=SC2154,SC2034
# Many small repositories at once. A table of its own, because it has no rival.

row_batch() {
    python3 "$parts/batch.py" "$srcfs" "$work/batch" "$quick" >"$work/batch.md"
    cat -- "$work/batch.md"
    rm -rf --one-file-system -- "$work/batch"
}
