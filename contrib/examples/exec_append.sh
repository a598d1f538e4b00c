#!/bin/sh
#   exec_append.sh DIR - a program for `zibrato exec --once`: a file of JSON lines
#   in DIR for each request
#
#       zibrato exec --once -- contrib/examples/exec_append.sh /var/lib/rows
#
#   The same request may come again, with the same ZIBRATO_KEY: then its file is
#   there. It gets its name when it is whole, so that nothing is there twice, and
#   nothing half.
#
#   SPDX-License-Identifier: BSD-3-Clause

OK=0
TEMPFAIL=75                             # sysexits.h: the same again, later

file=$1/$ZIBRATO_KEY.ndjson
[ -e "$file" ] && exit $OK
mkdir -p "$1" && cat >"$file.$$" && mv "$file.$$" "$file" || exit $TEMPFAIL
