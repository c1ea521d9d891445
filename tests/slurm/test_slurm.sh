#!/usr/bin/env bash
# The chain as SLURM jobs on a real SLURM of one node (tools/slurm-up.sh): a job told to stop in the middle of embed goes back into the queue, continues with the
# blocks that it had, and the artefacts are the same bits as those of an undisturbed mpirun; --resubmit repeats what is missing and nothing else; after a stage
# that failed nothing runs. Part of `jobs/test.sh full`: about three minutes, as root. Skipped where SLURM is neither there nor can be installed.
. "$(dirname "$0")/../support/sky.sh"
slurm=$(mktemp -d "${TMPDIR:-/tmp}/astroclip-slurm-XXXXXX")
chmod 755 "$slurm"
trap 'tools/slurm-up.sh down "$slurm" > /dev/null; rm -rf "$work" "$slurm"' EXIT
[ "$(id -u)" -eq 0 ] || { echo "skipped: only root can start SLURM's daemons"; exit 77; }
SLURM_CTLD_PORT=$((20000 + $$ % 10000)) SLURM_D_PORT=$((30000 + $$ % 10000)) tools/slurm-up.sh up "$slurm" > "$work/up.log" 2>&1 ||
    { echo "skipped: no SLURM here"; cat "$work/up.log"; exit 77; }
export SLURM_CONF=$slurm/slurm.conf

# An encoder slow enough that embed takes half a minute, in blocks of about a second.
yaml=$work/slurm.yaml
sed -e 's/spectrum: {kind: specformer.*/spectrum: {kind: specformer, embed_dim: 192, num_layers: 6, num_heads: 4}/' -e '$a embed: {block_rows: 4}' tests/e2e/small.yaml > "$yaml"
submit() { jobs/submit "$yaml" -n 2 --time 10 "${roots[@]}" --set "run.output=$work/$1" "${@:2}"; }
planned() { "$ASTROCLIP_BIN" check "$yaml" "${roots[@]}" --set "run.output=$work/$1" --plan 2> /dev/null | awk -F'\t' -v stage="$2" '$1 == stage { print $3 }'; }
job_of() { awk -F'\t' -v stage="$2" '$1 == stage { print $2 }' "$work/$1/slurm/jobs.tsv"; }
state_of() { scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p'; }
# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || { fail "waited too long for: $*"; squeue; return 1; }
        sleep 0.5
    done
}
queue_empty() { [ -z "$(squeue -h)" ]; }
finished_more() { [ "$(planned "$1" embed)" -gt "$2" ]; }
make_sky

# ---- interrupted in the middle of embed ----
submit queued --measure > "$work/submit.out" 2>&1 || { fail "jobs/submit"; cat "$work/submit.out"; finish; }
cat "$work/submit.out"
embed=$(job_of queued embed)
wait_for 120 finished_more queued 5
scancel --batch --signal=USR1 "$embed"
log=$work/queued/slurm/embed-$embed.log
wait_for 60 grep -q 'back into the queue' "$log"
wait_for 120 grep -q 'attempt 2' "$log"
wait_for 240 queue_empty
grep -E 'stage.sbatch|blocks|interrupted' "$log"
[ "$(state_of "$embed")" = COMPLETED ] || { fail "embed is $(state_of "$embed")"; tail -n 20 "$log"; }
scontrol show job "$embed" | grep -q 'Restarts=1' || fail "embed was not restarted once"
grep -Eq '[1-9][0-9]* blocks computed, ([5-9]|[1-9][0-9]) kept' "$log" || fail "the second attempt did not continue with the blocks of the first"
for stage in catalog probe tables; do
    [ "$(state_of "$(job_of queued $stage)")" = COMPLETED ] || { fail "$stage is $(state_of "$(job_of queued $stage)")"; cat "$work/queued/slurm/$stage"-*.log; }
done
no_parts queued
run calm 2 > "$work/calm.out" 2> "$work/calm.log" || { fail "the undisturbed run"; tail -n 20 "$work/calm.log"; }
same_data queued calm

# ---- only what did not finish ----
submit queued --resubmit > "$work/again.out" 2>&1 || { fail "--resubmit of a finished chain"; cat "$work/again.out"; }
grep -q 'everything is current: nothing to submit' "$work/again.out" || { fail "--resubmit submitted what is current"; cat "$work/again.out"; }
rm "$work/queued/probes.h5"
submit queued --resubmit > "$work/resubmit.out" 2>&1 || { fail "--resubmit"; cat "$work/resubmit.out"; }
cat "$work/resubmit.out"
[ "$(cut -f 1 "$work/queued/slurm/jobs.tsv" | tr '\n' ' ')" = "stage probe tables " ] || fail "--resubmit submitted other stages than probe and tables"
submit queued > "$work/twice.out" 2>&1 && fail "a second chain was submitted beside the first"
grep -q 'of an earlier submission is' "$work/twice.out" || { fail "a second chain is refused with another message"; cat "$work/twice.out"; }
wait_for 120 queue_empty
same_data queued calm

# ---- a stage that fails ends the chain ----
submit bad --set run.max_rejected_fraction=0 > "$work/bad.out" 2>&1 || { fail "jobs/submit of the chain that fails"; cat "$work/bad.out"; }
wait_for 180 queue_empty
[ "$(state_of "$(job_of bad embed)")" = FAILED ] || fail "embed that exceeds max_rejected_fraction is $(state_of "$(job_of bad embed)")"
grep -q 'ended with exit code 3' "$work/bad/slurm/embed"-*.log || fail "the exit code of embed did not pass through"
[ "$(state_of "$(job_of bad probe)")" = CANCELLED ] || fail "after a failure probe is $(state_of "$(job_of bad probe)")"
finish
