#!/usr/bin/env bash
# jobs/submit and jobs/stage.sbatch without SLURM: what sbatch is asked for, what is chained and left out, when a job goes back into the queue and when it gives
# up. sbatch, srun and their kin are small scripts that write down what they were told.
. "$(dirname "$0")/../support/sky.sh"
mkdir "$work/bin"
fake() { printf '#!/usr/bin/env bash\n%s\n' "$2" > "$work/bin/$1" && chmod +x "$work/bin/$1"; }
fake sbatch 'n=$(($(cat "'"$work"'/jobs" 2> /dev/null || echo 100) + 1)); echo $n > "'"$work"'/jobs"; printf "%s\n" "$*" >> "'"$work"'/sbatch.log"; echo $n'
fake sinfo 'case "$*" in *%c*) echo 8+ ;; *) echo 16000+ ;; esac'
fake squeue 'cat "'"$work"'/queue" 2> /dev/null; exit 0'
fake scontrol 'case $1 in show) echo "JobState=$(cat "'"$work"'/state")" ;; *) echo "$*" >> "'"$work"'/scontrol.log"; exit 1 ;; esac'
fake srun 'while [[ $1 = --* ]]; do shift; done; exec "$@"'
export PATH=$work/bin:$PATH ASTROCLIP_BIN
unset ASTROCLIP_SITE ASTROCLIP_ACCOUNT ASTROCLIP_QOS ASTROCLIP_PARTITION ASTROCLIP_CONSTRAINT ASTROCLIP_SBATCH SLURM_RESTART_COUNT
submit() { jobs/submit "$yaml" "${roots[@]}" --set "run.output=$work/out" "$@"; }
make_sky

# ---- what sizes are made of: measured where it is asked for, and alike for the same file ----
check() { "$ASTROCLIP_BIN" check "$yaml" "${roots[@]}" --set "run.output=$work/none" "$@" 2> "$work/check.log"; }
check | grep -q 'seconds per object and rank: .*assumed' || fail "check does not say that its times are assumed"
check --measure | grep -q 'seconds per object and rank: .*(measured here, matrix products by .*), reading' || fail "check --measure does not measure the encoders"
[ "$(check --plan)" = "$(check --plan)" ] || fail "two plans of one file differ"
rows=$(check --plan | awk -F'\t' '$1 == "embed" { print $4 }')
[ "${rows:-0}" -ge 96 ] || fail "before the catalogue is there the source files do not say how many rows there are: $rows"
check --plan --current | grep -q $'^catalog\tstale' || fail "an output that is not there counts as current"
[ ! -e "$work/none" ] || fail "check wrote something"

# ---- the dry run shows all and does nothing ----
submit --dry-run --set 'run.stages=[catalog, embed]' > "$work/dry.out" 2>&1 || { fail "--dry-run"; cat "$work/dry.out"; }
[ ! -e "$work/sbatch.log" ] && [ ! -e "$work/out" ] || fail "--dry-run submitted or wrote something"
[ "$(grep -c '^sbatch ' "$work/dry.out")" -eq 2 ] || { fail "--dry-run does not show two commands"; cat "$work/dry.out"; }
grep -q -- '--dependency=afterok:JOB_OF_catalog' "$work/dry.out" || fail "--dry-run does not show the dependency"
grep -q '^embed  *JOB_OF_embed  *JOB_OF_catalog' "$work/dry.out" || fail "--dry-run shows no table of jobs"
ASTROCLIP_ACCOUNT=m1 jobs/submit config/desi-dr1.yaml --dry-run --site perlmutter --set release.spectra.root=/global/cfs/desi > "$work/site.out" 2>&1 || fail "--site perlmutter"
for words in --account=m1 --constraint=cpu --exclusive release.spectra.root=/dvs_ro/cfs/desi site/perlmutter.sh; do
    grep -q -- "$words" "$work/site.out" || fail "--site perlmutter: no $words"
done

# ---- a chain ----
submit -n 4 --set embed.block_rows=8 -- --comment=mine > "$work/submit.out" 2>&1 || { fail "jobs/submit"; cat "$work/submit.out"; }
line() { sed -n "$1p" "$work/sbatch.log"; }
[ "$(wc -l < "$work/sbatch.log")" -eq 4 ] || fail "not four jobs"
grep -q dependency <<< "$(line 1)" && fail "the first job waits for another"
for words in --job-name=embed --dependency=afterok:101 --kill-on-invalid-dep=yes --signal=B:USR1@120 --requeue --open-mode=append --nodes=1 --ntasks=4 \
    --cpus-per-task=1 "--output=$work/out/slurm/embed-%j.log" "--chdir=$PWD" --comment=mine "stage.sbatch $PWD/jobs/site/generic.sh $ASTROCLIP_BIN embed $yaml" \
    "--set embed.block_rows=8"; do
    grep -q -- "$words" <<< "$(line 2)" || { fail "the job of embed lacks $words"; line 2; }
done
grep -Eq -- '--mem=[0-9]+M' <<< "$(line 2)" && grep -Eq -- '--time=[0-9]+' <<< "$(line 2)" || fail "the job of embed has no memory or no time"
grep -q -- '--dependency=afterok:103' <<< "$(line 4)" || fail "tables does not wait for probe"
[ "$(cut -f 1,2,3 "$work/out/slurm/jobs.tsv" | tail -n 1)" = $'tables\t104\t103' ] || fail "jobs.tsv"

# ---- a chain that is in the queue is not submitted twice; --resubmit takes what is not current ----
echo RUNNING > "$work/queue"
submit > "$work/twice.out" 2>&1 && fail "submitted beside a running chain"
rm "$work/queue"
run out 2 --set 'run.stages=[catalog, embed]' > "$work/run.log" 2>&1 || { fail "catalog and embed"; tail -n 5 "$work/run.log"; }
rm "$work/sbatch.log"
submit --resubmit > "$work/resubmit.out" 2>&1 || { fail "--resubmit"; cat "$work/resubmit.out"; }
grep -q '^embed .*current: not submitted' "$work/resubmit.out" || fail "--resubmit does not say that embed is current"
[ "$(grep -o -- '--job-name=[a-z]*' "$work/sbatch.log" | tr '\n' ' ')" = "--job-name=probe --job-name=tables " ] || { fail "--resubmit takes other stages"; cat "$work/sbatch.log"; }

# ---- a wrong command line is refused before anything is submitted ----
rm "$work/sbatch.log"
for words in "--site nowhere" "-n none" "--set x" "--nonsense" "--hours"; do
    submit $words > "$work/wrong.out" 2>&1 && fail "jobs/submit $words"
    grep -q '^jobs/submit: ' "$work/wrong.out" || fail "jobs/submit $words: no message"
done
jobs/submit > /dev/null 2>&1 && fail "jobs/submit without a run file"
submit --set embed.batch=0 > "$work/wrong.out" 2>&1
[ $? -eq 2 ] && grep -q 'error (config)' "$work/wrong.out" || fail "a mistake in the configuration"
ASTROCLIP_MEMORY_GB=0.1 submit > "$work/wrong.out" 2>&1 && fail "a node too small for a rank"
[ ! -e "$work/sbatch.log" ] || fail "a wrong command line submitted something"

# ---- the job itself: requeued while it gets on, twice without getting on, then no more ----
# attempt COUNT EXIT_CODE FINISHED: a stage that ends so with that many finished units
attempt() {
    fake program 'case $1 in check) printf "output\t'"$work"'/job\n\nstage\tstate\tfinished\nembed\t-\t'"$3"'\n" ;; *) exit '"$2"' ;; esac'
    SLURM_JOB_ID=7 SLURM_NTASKS=2 SLURM_RESTART_COUNT=$1 bash jobs/stage.sbatch jobs/site/generic.sh "$work/bin/program" embed run.yaml > "$work/job.log" 2>&1
}
requeues() { wc -l < "$work/scontrol.log"; }
: > "$work/scontrol.log"
echo RUNNING > "$work/state"
attempt 0 0 3 || fail "a stage that succeeds"
attempt 0 3 3
[ $? -eq 3 ] || fail "the exit code of a stage is lost"
[ "$(requeues)" -eq 0 ] || fail "a stage that failed was requeued"
expected=0
for units in 3 3 5 5 5; do # the first attempt starts with 3
    attempt $expected 8 $units
    [ $? -eq 8 ] || fail "the exit code of an interrupted stage is lost"
    expected=$((expected + 1))
    [ "$(requeues)" -eq $expected ] || { fail "attempt $expected with $units units was not requeued"; cat "$work/job.log"; }
done
attempt 5 8 5
[ "$(requeues)" -eq 5 ] && grep -q 'gives up' "$work/job.log" || { fail "a third attempt in vain was requeued"; cat "$work/job.log"; }
echo CANCELLED > "$work/state"
attempt 0 8 9
[ "$(requeues)" -eq 5 ] || fail "a cancelled job was requeued"

# a signal reaches the stage, and the job waits for its end
fake program 'case $1 in check) ;; *) trap "sleep 0.5; touch '"$work"'/told; exit 8" USR1; for i in $(seq 100); do sleep 0.1; done ;; esac'
echo RUNNING > "$work/state"
SLURM_JOB_ID=8 SLURM_NTASKS=1 bash jobs/stage.sbatch jobs/site/generic.sh "$work/bin/program" embed run.yaml > "$work/job.log" 2>&1 &
sleep 1
kill -USR1 $!
wait $!
[ $? -eq 8 ] && [ -e "$work/told" ] || { fail "SIGUSR1 did not reach the stage"; cat "$work/job.log"; }
finish
