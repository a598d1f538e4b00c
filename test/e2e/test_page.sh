#!/usr/bin/env bash
#
#  test_page.sh - the page of `zibrato serve` in a browser (test/page/run.js)
#
#  ctest: TIMEOUT 600 NOSAN - most of it is the browser
#
#  SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

#  Beside the programs, in the tree that was built.
export ZB_PAGE_JUDGE=${ZB_PROGRAMS%/*}/page-judge
"$ZB_SOURCE/test/page/install" "$ZB_PAGE_JUDGE"
exec node "$ZB_SOURCE/test/page/run.js"
