#!/usr/bin/env bash
# The code is formatted as .clang-format says (version 14, Debian 12's; other versions differ in details and skip).
cd "$(dirname "$0")/../.." || exit 1
clang-format --version 2> /dev/null | grep -q 'version 14\.' || { echo "skipped: no clang-format 14"; exit 77; }
find pipeline include stages tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
