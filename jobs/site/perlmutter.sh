# jobs/site/perlmutter.sh: CPU nodes of Perlmutter (NERSC) and machines like it: Cray MPICH, Lustre, whole nodes, read-only mounts of the file systems that
# hold the surveys. See generic.sh for what each item is; ASTROCLIP_ACCOUNT names the project that pays. Build with the same modules:
#     . jobs/site/perlmutter.sh && site_modules && CC=cc cmake --preset release && cmake --build build/release

site_cores=128
site_memory_gb=500
site_max_hours=${ASTROCLIP_MAX_HOURS:-12}
site_whole_nodes=yes
site_sbatch=(${ASTROCLIP_ACCOUNT:+"--account=$ASTROCLIP_ACCOUNT"} "--qos=${ASTROCLIP_QOS:-regular}"
    "--constraint=${ASTROCLIP_CONSTRAINT:-cpu}" --licenses=scratch,cfs ${ASTROCLIP_SBATCH:-})

site_modules() {
    local name
    for name in PrgEnv-gnu cray-mpich cray-hdf5-parallel cfitsio openblas ${ASTROCLIP_MODULES:-}; do module load "$name"; done
}

site_environment() {
    site_modules
    export OPENBLAS_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
    export HDF5_USE_FILE_LOCKING=FALSE # Lustre has no locks that HDF5 can use
    # ROMIO: no read-modify-write of what lies between our rows, no more writers than stripes
    export MPICH_MPIIO_HINTS="*:romio_ds_write=disable:romio_ds_read=disable:romio_cb_write=automatic:striping_factor=${ASTROCLIP_STRIPES:-24}"
}

site_launch() { exec srun --ntasks="$1" --cpus-per-task="$2" --cpu-bind=cores --kill-on-bad-exit=1 "${@:3}"; }

# Files get the stripes of their folder, and only when they are new: 24 suits volumes of 10 to 100 GB (NERSC's stripe_medium), 72 larger ones.
site_prepare_output() {
    command -v lfs >/dev/null || return 0
    mkdir -p "$1/embeddings"
    lfs setstripe -c "${ASTROCLIP_STRIPES:-24}" -S 4m "$1/embeddings" ||
        echo "jobs/submit: $1 could not be striped: not on Lustre?" >&2
}

# The community file system is mounted a second time, read-only and cached, on the compute nodes.
site_read_only() {
    case $1 in
    /global/cfs/*) echo "/dvs_ro/cfs/${1#/global/cfs/}" ;;
    *) echo "$1" ;;
    esac
}
