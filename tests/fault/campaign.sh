#!/usr/bin/env bash
# campaign.sh STAGE N SEED: kills the stage N times at random moments (SIGKILL of a rank, of mpirun, of `astroclip run`; SIGTERM, SIGUSR1), each time continuing
# what was left behind on another number of ranks; whenever a run gets through, its files are compared with an undisturbed chain and it all begins anew.
# STAGE is catalog, embed, probe or tables. By hand: 50 kills per stage; the tests do 2 (test_campaign.sh).
name=${1:?stage} kills=${2:?number of kills} RANDOM=${3:?seed}
. "$(dirname "$0")/../support/sky.sh"
make_sky --set mock.objects=24 --set mock.per_brick=24
options=(--set probe.min_rows=10 --set embed.block_rows=4 --set embed.batch=2)
declare -A made=([catalog]=catalog.h5 [embed]="embeddings.h5 embeddings" [probe]="probes.h5 scores.csv" [tables]="properties.fits properties.fits.sha256sum")
for point in h5.create h5.write artefact.publish embed.block probe.rows probe.block tables.rows tables.header tables.publish; do
    for rank in 0 1 2; do slow=${slow:+$slow,}$point:$rank:0.02; done # so that there is time to be killed
done
run good 2 "${options[@]}" > "$work/good.log" 2>&1 || { fail "the undisturbed chain"; tail -5 "$work/good.log"; finish; }

begin() {
    rm -rf "$work/camp"
    cp -r "$work/good" "$work/camp"
    for file in ${made[$name]}; do rm -rf "${work:?}/camp/$file"; done
}

# processes of this run whose name is $1 and whose command line has $2
processes() { for pid in $(pgrep -f "$2 .*run.output=$work/camp"); do [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = "$1" ] && echo "$pid"; done; }

one_of() { local list=($1); [ ${#list[@]} -gt 0 ] && echo "${list[RANDOM % ${#list[@]}]}"; }

declare -A tried
done_kills=0 restarts=0 compared=0
begin
while [ $done_kills -lt "$kills" ]; do
    HANG_POINT=$slow run camp $((1 + RANDOM % 3)) --set "run.stages=[$name]" "${options[@]}" > "$work/camp.log" 2>&1 &
    runner=$!
    restarts=$((restarts + 1))
    for _ in $(seq 100); do [ -n "$(processes astroclip "astroclip $name")" ] && break; sleep 0.05; done # `run` may wait for a dead job's lock
    sleep "0.$(printf %03d $((RANDOM % 1000)))"
    way=$((RANDOM % 5))
    case $way in
        0) kind="KILL rank" victim=$(one_of "$(processes astroclip "astroclip $name")") signal=KILL ;;
        1) kind="KILL mpirun" victim=$(one_of "$(processes mpirun "astroclip $name")") signal=KILL ;;
        2) kind="KILL run" victim=$(one_of "$(processes astroclip "astroclip run")") signal=KILL ;;
        3) kind="TERM run" victim=$(one_of "$(processes astroclip "astroclip run")") signal=TERM ;;
        *) kind="USR1 run" victim=$(one_of "$(processes astroclip "astroclip run")") signal=USR1 ;;
    esac
    hit=0
    if [ -n "$victim" ] && kill -$signal "$victim" 2> /dev/null; then hit=1; fi
    wait $runner 2> /dev/null
    code=$?
    for _ in $(seq 100); do [ -z "$(processes astroclip "astroclip $name")" ] && break; sleep 0.05; done
    [ -z "$(processes astroclip "astroclip $name")" ] || fail "$kind: ranks are left"
    if [ $hit -eq 1 ] && [ $code -ne 0 ]; then
        done_kills=$((done_kills + 1))
        tried[$kind]=$((${tried[$kind]:-0} + 1))
        [ $signal = KILL ] || [ $code -eq 8 ] || { fail "$kind: exit code $code"; tail -5 "$work/camp.log"; }
    elif [ $code -eq 0 ]; then
        same_data good camp
        compared=$((compared + 1))
        begin
    else
        fail "a run that nobody hurt ended with code $code"
        tail -5 "$work/camp.log"
        begin
    fi
done
run camp 2 --set "run.stages=[$name]" "${options[@]}" > "$work/camp.log" 2>&1 || { fail "the last run"; tail -5 "$work/camp.log"; }
same_data good camp
no_parts camp
echo "$name: $done_kills kills in $restarts starts, $((compared + 1)) comparisons, $failures differences;$(for kind in "${!tried[@]}"; do printf ' %s %s;' "$kind" "${tried[$kind]}"; done)"
finish
