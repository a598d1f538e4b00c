#!/usr/bin/env bash
#
#  test_systemd.sh - systemd-analyze has nothing to say about our units
#
#  It complains about what it does not know, and returns 0 all the same: so what
#  it prints is looked at. A unit with a mistake shows that it does.
#
#  SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

units=$ZB_SOURCE/contrib/systemd
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

#  Makes one of our units in the folder, with an executable that is there, and
#  prints what is wrong with it; of a template an instance. What follows is a
#  command for sed. Of units of others, which it reads as well, we want to know
#  nothing.
verify () {
    local unit=${1/@./@stdout.}
    sed -e "s|=zibrato |=$ZB_BIN |" -e "${2-}" "$units/$1" >"$folder/$unit"
    systemd-analyze verify --man=no "$folder/$unit" 2>&1 |
        grep -v '^/\(usr/\)\?lib/systemd/' || true
}

for unit in "$units"/*.service; do
    said=$(verify "$(basename "$unit")")
    if [ -n "$said" ]; then
        echo "$said"
        exit 1
    fi
done

if ! verify zibrato-broker.service s/^ProtectClock=/ProtectClocks=/ |
        grep -q ProtectClocks; then
    echo "a mistake is not found"
    exit 1
fi
