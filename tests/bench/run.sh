#!/usr/bin/env bash
# run.sh [NAME]...: measurements as JSON lines, all of them or those named. By hand; takes minutes on a quiet machine.
#
# Each line: name, ours, theirs, unit, ratio (above 1 = ours is better), threads, repeats, and what else tells. Both sides are measured in one run.
# $BUILD: the build folder (build/release); $RANKS: the numbers of ranks ("1 2").
set -u
export OMPI_MCA_mpi_yield_when_idle=1 OPENBLAS_NUM_THREADS=1
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build/release}
ranks=${RANKS:-1 2}
mpirun=(${ASTROCLIP_MPIRUN:-mpirun} --allow-run-as-root --oversubscribe --bind-to none --quiet)

# program TARGET [arguments...]: built where needed, then on each number of ranks
program() {
    local target=$1 n
    shift
    cmake --build "$build" --target "$target" > /dev/null || { echo "run.sh: cannot build $target in $build (\$BUILD)" >&2; return 1; }
    for n in $ranks; do "${mpirun[@]}" -n "$n" "$build/tests/$target" "$@" || return 1; done
}

# name -> command
declare -A benchmarks=(
    [optimizer]='program bench_optimizer'
)

status=0
for name in ${*:-$(printf '%s\n' "${!benchmarks[@]}" | sort)}; do
    [ -n "${benchmarks[$name]:-}" ] || { echo "run.sh: no measurement '$name'; there are: $(printf '%s\n' "${!benchmarks[@]}" | sort | xargs)" >&2; exit 2; }
    ${benchmarks[$name]} || status=1
done
exit $status
