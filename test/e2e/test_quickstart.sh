#!/usr/bin/env bash
#
#  test_quickstart.sh - contrib/quickstart, with executables that are built already
#
#  SPDX-License-Identifier: BSD-3-Clause

#  ctest: TIMEOUT 180 NOTSAN - nothing of it is about threads

set -euo pipefail

ZIBRATO_BIN=$(dirname "$ZB_BIN")
export ZIBRATO_BIN
quickstart=$ZB_SOURCE/contrib/quickstart
work=$(mktemp -d)
shown=

clean_up () {
    [ -z "$shown" ] || kill -TERM "$shown" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

fail () {
    echo "$*" >&2
    exit 1
}

mkdir "$work/tree"
for i in 1 2 3 4 5 6 7 8 9; do
    echo "a file of some words, the last one is $i" >"$work/tree/$i"
done

"$quickstart" --once "$work/tree" >"$work/once"
grep -q "They agree, to the digit." "$work/once"
grep -q "indexer.words" "$work/once"

mkfifo "$work/out"
"$quickstart" "$work/tree" >"$work/out" 2>"$work/err" &
shown=$!
exec {out}<"$work/out"
url=
while read -r -t 60 -u "$out" line; do
    [[ $line = Open\ * ]] && url=${line#Open } && break
done
[ -n "$url" ] || { cat "$work/err" >&2; fail "no address was printed"; }
curl -s -o /dev/null --max-time 20 "${url%%\?*}healthz" ||
    fail "nobody is at $url"
kill -TERM "$shown"
rc=0
wait "$shown" || rc=$?
shown=
[ "$rc" = 143 ] || fail "exit status $rc"
#  It has waited for all that it had started
! curl -s -o /dev/null --max-time 20 "${url%%\?*}healthz" ||
    fail "somebody is left"
