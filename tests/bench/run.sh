#!/usr/bin/env bash
# run.sh [NAME]...: measurements as JSON lines, all of them or those named. By hand; takes minutes on a quiet machine.
#
# Each line: name, ours, theirs, unit, ratio (above 1 = ours is better), threads, repeats, and what else tells. Both sides are measured in one run.
# $BUILD: the build folder (build/release); $RANKS: the numbers of ranks ("1 2"); $ROUNDS: repeats of a training step (3);
# $ASTROCLIP_TORCH, $ASTROCLIP_PYTHON: a python3 with PyTorch; one with numpy, astropy, scikit-learn and FAISS. Where one is not set,
# peers/venv.sh makes both, once, outside the repository. `run.sh | tee LINES; table.py LINES` makes a table of it.
set -u
export OMPI_MCA_mpi_yield_when_idle=1 OPENBLAS_NUM_THREADS=1
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build/release}
ranks=${RANKS:-1 2}
mpirun=(${ASTROCLIP_MPIRUN:-mpirun} --allow-run-as-root --oversubscribe --bind-to none --quiet)

# peers: $ASTROCLIP_TORCH and $ASTROCLIP_PYTHON, whose environment is made for the first measurement that wants one
peers() {
    local made
    [ -z "${ASTROCLIP_TORCH:-}" ] || [ -z "${ASTROCLIP_PYTHON:-}" ] || return 0
    made=$(tests/bench/peers/venv.sh) || { echo "run.sh: no environment for the peers: set ASTROCLIP_TORCH and ASTROCLIP_PYTHON" >&2; return 1; }
    export ASTROCLIP_TORCH=${ASTROCLIP_TORCH:-$made} ASTROCLIP_PYTHON=${ASTROCLIP_PYTHON:-$made}
}

# built TARGET...: made where it is missing
built() {
    cmake --build "$build" --target "$@" > /dev/null || { echo "run.sh: cannot build $* in $build (\$BUILD)" >&2; return 1; }
}

# program TARGET [arguments...]: built where needed, then on each number of ranks
program() {
    local target=$1 n
    shift
    built "$target" || return 1
    for n in $ranks; do "${mpirun[@]}" -n "$n" "$build/tests/$target" "$@" || return 1; done
}

# train WHAT: a step beside PyTorch's with as many threads as ranks, a replica for each; then several ranks beside one with the same replicas. Of images one rank.
train() {
    local what=$1 precision n step="$build/tests/bench_train" ranks=$ranks
    [ "$what" != image ] || ranks=1
    peers && built bench_train || return 1
    for n in $ranks; do
        for precision in f32 bf16; do
            "$ASTROCLIP_TORCH" tests/bench/train.py "$what" "$precision" "$n" "${ROUNDS:-3}" "${mpirun[@]}" -n "$n" "$step" "$what" "$precision" 1 "$n" || return 1
        done
        [ "$n" -eq 1 ] || python3 tests/bench/train.py "$what" f32 "$n" "${ROUNDS:-3}" "${mpirun[@]}" -n "$n" "$step" "$what" f32 1 "$n" \
            -- "${mpirun[@]}" -n 1 "$step" "$what" f32 1 "$n" || return 1
    done
}

# probes KIND...: fits and predictions beside scikit-learn's, or FAISS's (knn_faiss), one rank and one thread
probes() {
    local kind
    peers && built bench_probe || return 1
    for kind in "$@"; do
        "$ASTROCLIP_PYTHON" tests/bench/probe.py "$kind" 20000 4000 1024 "${ROUNDS:-3}" "${mpirun[@]}" -n 1 "$build/tests/bench_probe" || return 1
    done
}

# read_files WHAT: windows of bricks, spectra of coadds beside astropy and numpy
read_files() {
    peers && built bench_read astroclip || return 1
    "$ASTROCLIP_PYTHON" tests/bench/read.py "$1" "$build/astroclip" "${ROUNDS:-7}" "$build/tests/bench_read"
}

# search: exact neighbours by cosine beside FAISS's flat index, and that they are the same
search() {
    peers && built bench_search || return 1
    "$ASTROCLIP_PYTHON" tests/bench/search.py 50000 4096 8 1024 "$build/tests/bench_search"
}

# embed WHAT PRECISION: one core's embedding beside PyTorch's and beside its matrix products
embed() {
    peers && built bench_embed || return 1
    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 "$ASTROCLIP_TORCH" tests/bench/embed.py "$1" "$2" "${ROUNDS:-5}" "$build/tests/bench_embed"
}

# start: from the command to the first object with published sizes
start() {
    built bench_start || return 1
    python3 tests/bench/start.py "$build/astroclip" "${ROUNDS:-3}" "$build/tests/bench_start"
}

# release: the stage embed over a mock sky, published sizes
release() {
    python3 tests/bench/release.py "$build/astroclip" "${OBJECTS:-48}" "${mpirun[@]}"
}

# bf16_safe: embeddings in bf16 beside those in f32, with the weights that jobs/demo.sh trained
bf16_safe() {
    local folder status
    [ -f runs/demo/astroclip.ckpt.h5 ] || { echo "run.sh: bf16_safe wants trained weights: run jobs/demo.sh first" >&2; return 1; }
    peers && folder=$(mktemp -d) || return 1
    "$ASTROCLIP_PYTHON" tests/bench/bf16.py "$build/astroclip" config/demo.yaml "$PWD/runs/demo/astroclip.ckpt.h5" "$folder" "${OBJECTS:-10000}" "${mpirun[@]}" -n 2
    status=$?
    rm -rf "$folder"
    return $status
}

# name -> command; a command that measures several things is run once
declare -A benchmarks=(
    [optimizer]='program bench_optimizer'
    [train_spectrum]='train spectrum'
    [train_heads]='train heads'
    [train_image]='train image'
    [probes]='probes leave_one_out knn mlp'
    [ridge_vs_sklearn]='probes ridge'
    [knn_vs_faiss]='probes knn_faiss'
    [cutouts_vs_astropy]='read_files cutouts'
    [coadd_merge_vs_numpy]='read_files coadd'
    [search_vs_faiss]='search'
    [start_vs_read]='start'
    [embed_end_to_end_vs_compute]='release'
    [embed_2_ranks_vs_1]='release'
    [pss_extra_rank_mb]='release'
    [bf16_safe]='bf16_safe'
    [gemm_bf16_vs_peak]='embed gemm_bf16 vit_l'
    [vit_l_f32_vs_gemm]='embed vit_l f32'
    [vit_l_f32_vs_torch]='embed vit_l f32'
    [vit_l_bf16_vs_gemm]='embed vit_l bf16'
    [vit_l_bf16_vs_torch]='embed vit_l bf16'
    [specformer_f32_vs_gemm]='embed specformer f32'
    [specformer_f32_vs_torch]='embed specformer f32'
    [specformer_bf16_vs_gemm]='embed specformer bf16'
    [specformer_bf16_vs_torch]='embed specformer bf16'
)

status=0
declare -A made=()
for name in ${*:-$(printf '%s\n' "${!benchmarks[@]}" | sort)}; do
    command=${benchmarks[$name]:-}
    [ -n "$command" ] || { echo "run.sh: no measurement '$name'; there are: $(printf '%s\n' "${!benchmarks[@]}" | sort | xargs)" >&2; exit 2; }
    [ -n "${made[$command]:-}" ] && continue
    made[$command]=yes
    $command || status=1
done
exit $status
