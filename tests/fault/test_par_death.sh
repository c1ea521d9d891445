#!/bin/bash
# How a job of several ranks ends when one of them fails, crashes or aborts, and when its launcher is killed: in time, with one message,
# the right exit code, and nothing left behind.
set -u
program=$(dirname "${ASTROCLIP_BIN:?}")/tests/fault_agree
mpirun=${ASTROCLIP_MPIRUN:-mpirun}
launch=("$mpirun" --allow-run-as-root --oversubscribe --bind-to none --quiet)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
n_wrong=0

wrong() {
    echo "wrong: $*"
    sed 's/^/    /' "$folder/err"
    n_wrong=$((n_wrong + 1))
}

# check WAY RANK CODE TEXT: three ranks of which one dies. CODE "any" = not 0.
check() {
    local way=$1 rank=$2 expected=$3 text=$4 code
    timeout 60 "${launch[@]}" -np 3 "$program" die "$way" "$rank" >"$folder/out" 2>"$folder/err"
    code=$?
    [ $code -ne 124 ] || wrong "$way on rank $rank hangs"
    [ $code -eq "${expected/any/$code}" ] && [ $code -ne 0 ] || wrong "$way on rank $rank: exit code $code, not $expected"
    [ "$(grep -c '^error (' "$folder/err")" -eq 1 ] || wrong "$way on rank $rank: not exactly one message"
    grep -qF "$text" "$folder/err" || wrong "$way on rank $rank: no '$text'"
    grep -q "on rank $rank\b" "$folder/err" || wrong "$way on rank $rank: the rank is not named"
}

for rank in 0 1 2; do
    check fail $rank 5 "error (numeric): row 7 is broken"
done
check must 1 7 "error (bug): "
check abort 2 7 "error (abort): cannot reach the others"
check mpi 1 7 "error (mpi): MPI_ERR_ROOT"
check signal 2 any "SIGSEGV"

# The launcher is killed: its ranks go, and so do their files in /dev/shm.
"${launch[@]}" -np 2 "$program" die sleep 0 >"$folder/out" 2>"$folder/err" &
launcher=$!
for ((i = 0; i < 300; i++)); do
    [ "$(grep -c '^pid ' "$folder/err")" -eq 2 ] && break
    sleep 0.1
done
pids=$(sed -n 's/^pid //p' "$folder/err")
[ -n "$pids" ] || wrong "two sleeping ranks did not start"
files=$(for pid in $pids; do grep -o '/dev/shm/.*' "/proc/$pid/maps"; done | sort -u)
kill -KILL $launcher
wait $launcher 2>/dev/null
for ((i = 0; i < 100; i++)); do
    alive=$(for pid in $pids; do [ -e "/proc/$pid" ] && echo "$pid"; done)
    [ -z "$alive" ] && break
    sleep 0.1
done
[ -z "$alive" ] || wrong "ranks $alive outlive their launcher by 10 s"
for file in $files; do
    [ ! -e "$file" ] || wrong "$file is left behind"
done
[ $n_wrong -eq 0 ] && echo "all ends are as they should be"
exit $((n_wrong > 0))
