#!/usr/bin/env bash
# campaign.sh STAGES N SEED: each of the stages ("embed probe", "all" = those of `astroclip list`) dies N times at a random moment, in every way in turn, and
# is continued on another number of ranks with other sizes and another order of work. After each death what bears a final name is complete; after every
# second one the stage is run to its end, holds what an undisturbed run holds, leaves nothing else, and it all begins anew.
# By hand: 50 deaths per stage; the tests do 2 (test_campaign.sh).
stages=${1:?stages, or all} kills=${2:?number of deaths} seed=${3:?seed}
. "$(dirname "$0")/../support/sky.sh"
. "$(dirname "$0")/../support/stages.sh"
[ "$stages" != all ] || stages=$all_stages
export TMPDIR=$work/tmp # what a killed launcher leaves there goes with the rest
mkdir "$TMPDIR"

# How the job is started, the signal, and who gets it. "job" is all of it at once, as by a node that fails.
ways=("run KILL rank" "mpirun KILL mpirun" "run USR1 run" "run KILL run" "mpirun KILL rank" "run TERM run" "run KILL mpirun" "mpirun USR1 mpirun" "run KILL job"
    "run INT run" "mpirun KILL job" "run TERM rank" "run KILL ranks" "mpirun TERM mpirun" "run TWICE run" "mpirun USR1 rank" "mpirun INT mpirun" "mpirun TERM rank")

# So that there is time to be killed: every point of the program waits a little, on every rank.
slow=""
for point in $(grep -rhoE 'FAIL_POINT\("[a-z0-9._]+"\)' pipeline stages | sed 's/.*"\(.*\)".*/\1/' | sort -u); do
    for rank in 0 1 2; do slow=${slow:+$slow,}$point:$rank:0.02; done
done

every_output good 2
rows=$(h5ls "$work/good/catalog.h5/TARGETID" | sed -nE 's/.*\{([0-9]+).*/\1/p')

everybody() { members camp "astroclip $launchers" ""; }
one_of() { local all=($1); [ ${#all[@]} -gt 0 ] && echo "${all[RANDOM % ${#all[@]}]}"; }
victims() {
    case $1 in
    rank) one_of "$(members camp astroclip "astroclip $name")" ;;
    ranks) members camp astroclip "astroclip $name" ;;
    mpirun) members camp "$launchers" "astroclip $name" ;;
    run) members camp astroclip "astroclip run" ;;
    job) everybody ;;
    esac
}

# sizes: other ones each time, for `embed` a volume of its own for each rank or for all
sizes() {
    volume_rows=$((RANDOM % 2 ? 100 : 13))
    sizes=(--set embed.block_rows=$((3 + RANDOM % 3)) --set pack.block_rows=$((3 + RANDOM % 3)) --set embed.batch=$((1 + RANDOM % 4)) --set embed.volume_rows=$volume_rows
        --set embed.ranks_per_volume=$((1 + RANDOM % 3)) --set tables.chunk_rows=$((1 + RANDOM % 30)))
}

# launch HOW RANKS: in the background, as $runner
launch() {
    wants "$name" camp
    sizes
    export ASTROCLIP_SHUFFLE=$RANDOM HANG_POINT=$slow
    if [ "$1" = run ]; then
        run camp "$2" --set "run.stages=[$name]" "${tiny[@]}" "${sizes[@]}" "${its[@]}" > "$work/camp.log" 2>&1 &
    else
        "$ASTROCLIP_MPIRUN" --allow-run-as-root --oversubscribe --bind-to none --quiet -n "$2" "$ASTROCLIP_BIN" "$name" "$yaml" "${roots[@]}" \
            --set "run.output=$work/camp" "${tiny[@]}" "${sizes[@]}" "${its[@]}" > "$work/camp.log" 2>&1 &
    fi
    runner=$!
    starts=$((starts + 1))
}

complain() { fail "$name, death $deaths, $way: $*"; tail -5 "$work/camp.log"; }

# strike WAY: one start, one signal; $hit says whether somebody got it
strike() {
    local how signal whom delay code pid got=""
    read -r how signal whom <<< "$1"
    launch "$how" $((1 + RANDOM % 3))
    delay=$(($(date +%s%N) / 1000000 + (RANDOM * 32768 + RANDOM) % span))
    while [ "$(($(date +%s%N) / 1000000))" -lt $delay ]; do sleep 0.01; done
    for _ in $(seq 50); do # `run` may be waiting for the lock of a dead job, the launcher may not have started its ranks
        got=$(victims "$whom")
        [ -n "$got" ] || ! kill -0 $runner 2> /dev/null && break
        sleep 0.02
    done
    hit=0
    for pid in $got; do kill "-${signal/TWICE/TERM}" "$pid" 2> /dev/null && hit=1; done
    [ $signal != TWICE ] || { sleep 0.2; kill -TERM $got 2> /dev/null; }
    wait $runner 2> /dev/null
    code=$?
    for _ in $(seq 500); do [ -z "$(everybody)" ] && break; sleep 0.02; done
    [ -z "$(everybody)" ] || complain "processes are left: $(ps -o pid,stat,args -p "$(everybody | paste -sd,)" | cut -c1-120)"
    [ $code -ne 0 ] || hit=0
    [ $hit -eq 1 ] || { [ $code -eq 0 ] || complain "nobody was hurt, and the exit code is $code"; return; }
    deaths=$((deaths + 1))
    tried[$1]=$((${tried[$1]:-0} + 1))
    case "$how $signal $whom" in
    *KILL* | "mpirun TERM mpirun" | "mpirun INT mpirun") ;; # the launcher's codes
    "run "*" run") [ $code -eq 8 ] || complain "exit code $code" ;;
    *) [ $code -eq 8 ] || [ $code -gt 128 ] || complain "exit code $code" ;; # before the program listens it dies of the signal
    esac
    finished_hold good camp
}

# to_the_end: nobody is hurt, and the files are compared
to_the_end() {
    local began
    began=$(date +%s%N)
    launch run $((1 + RANDOM % 3))
    wait $runner || complain "the run after it ends with code $?"
    span=$((($(date +%s%N) - began) / 1000000)) # the next deaths come within it
    compared=$((compared + 1))
    same_output good camp "$name"
    [ "$name" != embed ] || [ "$(find "$work/camp/embeddings" -type f | wc -l)" -eq $(((rows + volume_rows - 1) / volume_rows)) ] ||
        complain "volumes that belong to no run: $(ls "$work/camp/embeddings") of $rows rows by $volume_rows"
    without camp "$name" good
}

total=0
for name in $stages; do
    RANDOM=$seed
    declare -A tried=()
    deaths=0 starts=0 compared=0 way="" before=$failures turn=$((RANDOM % ${#ways[@]})) since=0 misses=0
    without camp "$name" good
    span=1000
    [ "$kills" -lt 10 ] || to_the_end
    while [ $deaths -lt "$kills" ] && [ $misses -lt $((kills + 20)) ]; do
        way=${ways[turn++ % ${#ways[@]}]}
        strike "$way"
        # the next ones need not wait until the lock's last touch is old; some do
        find "$work/camp" -maxdepth 1 -name '.astroclip.lock.*' -exec touch -d '10 seconds ago' {} +
        [ ! -e "$work/camp/.astroclip.lock" ] || [ $((RANDOM % 4)) -eq 0 ] || touch -d '10 seconds ago' "$work/camp/.astroclip.lock"
        since=$((since + hit)) misses=$((misses + 1 - hit))
        if [ $hit -eq 0 ] || [ $since -eq 2 ]; then to_the_end; since=0; fi
    done
    [ $deaths -ge "$kills" ] || fail "$name: only $deaths of $kills deaths in $starts starts"
    [ $since -eq 0 ] || to_the_end
    echo "$name: seed $seed, $deaths deaths in $starts starts, $compared comparisons, $((failures - before)) differences or defects;$(for way in "${!tried[@]}"; do printf ' %s %s,' "$way" "${tried[$way]}"; done | tr ',' ';')"
    total=$((total + deaths))
done
echo "$total deaths"
finish
