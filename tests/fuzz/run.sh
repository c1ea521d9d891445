#!/usr/bin/env bash
# tests/fuzz/run.sh TARGET SECONDS [SEED]: damages files for as long as one likes. TARGET is a name like desi_rows (tests/fuzz/fuzz_*.c).
# With clang: libFuzzer, in build/fuzz, on a corpus that grows in build/fuzz/corpus/TARGET. With another compiler, or with a SEED: the driver of our
# own, in build/asan. What ends a program is left there as crash-*, and the same program with that file as its argument repeats it.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -ge 2 ] && [ -f "tests/fuzz/fuzz_$1.c" ] || { echo "tests/fuzz/run.sh TARGET SECONDS [SEED]; targets:" tests/fuzz/fuzz_*.c >&2; exit 2; }
export LSAN_OPTIONS=suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0 OPENBLAS_NUM_THREADS=1
if [ $# -eq 2 ] && command -v clang > /dev/null; then
    jobs/build.sh fuzz --target "fuzz_$1" "libfuzzer_$1"
    mkdir -p "build/fuzz/corpus/$1"
    build/fuzz/tests/"fuzz_$1" -o "build/fuzz/corpus/$1" 2> /dev/null
    exec build/fuzz/tests/"libfuzzer_$1" -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=4194304 \
        -artifact_prefix="build/fuzz/crash-$1-" "build/fuzz/corpus/$1"
fi
jobs/build.sh asan --target "fuzz_$1"
exec build/asan/tests/"fuzz_$1" -t "$2" -s "${3:-1}" -w build/asan
