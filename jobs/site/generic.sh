# jobs/site/generic.sh: any SLURM cluster. Sourced by jobs/submit on the login node and by jobs/stage.sbatch in the job. Copy it to jobs/site/NAME.sh for a
# cluster of your own and choose it by --site NAME or ASTROCLIP_SITE=NAME. Environment variables fill what differs between projects.

site_cores=${ASTROCLIP_CORES:-}                # of a node; empty: what sinfo says
site_memory_gb=${ASTROCLIP_MEMORY_GB:-}        # of a node; empty: what sinfo says
site_max_hours=${ASTROCLIP_MAX_HOURS:-24}      # longest job; what is not finished by then is requeued and continues
site_whole_nodes=${ASTROCLIP_WHOLE_NODES:-no}  # yes: nodes are not shared, all their memory is ours

# Options of every job. ASTROCLIP_SBATCH holds further ones, divided by blanks.
site_sbatch=(${ASTROCLIP_ACCOUNT:+"--account=$ASTROCLIP_ACCOUNT"} ${ASTROCLIP_PARTITION:+"--partition=$ASTROCLIP_PARTITION"}
    ${ASTROCLIP_QOS:+"--qos=$ASTROCLIP_QOS"} ${ASTROCLIP_CONSTRAINT:+"--constraint=$ASTROCLIP_CONSTRAINT"} ${ASTROCLIP_SBATCH:-})

# In the job, before anything starts: modules and what libraries want to know.
site_environment() {
    local name
    for name in ${ASTROCLIP_MODULES:-}; do module load "$name"; done
    export OPENBLAS_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
}

# Becomes the launcher: site_launch RANKS THREADS PROGRAM [ARGUMENTS...]. Signals sent to it must reach the ranks: srun and mpirun forward SIGUSR1.
site_launch() { exec srun --ntasks="$1" --cpus-per-task="$2" --cpu-bind=cores --kill-on-bad-exit=1 "${@:3}"; }

# On the login node, before the first file is written there: striping and the like.
site_prepare_output() { :; }

# The path under which jobs read what lies at $1: a faster read-only mount, where there is one.
site_read_only() { echo "$1"; }
