#!/usr/bin/env bash
# The same bits whatever the number of ranks, the sizes of batches, blocks and volumes, the order of the work, and after an interruption; for every
# stage, encoder, precision, provider and probe that the program says it has: one that this test does not know makes it fail.
# With ASTROCLIP_LONG on 5 and 8 ranks, too.
. "$(dirname "$0")/../support/sky.sh"

# ---- what there is ----

reference=$("$ASTROCLIP_BIN" reference)
# items TEXT: what stands behind TEXT in the comment of a key, as words: "image encoder; kinds: vit, resnet" -> vit resnet
items() { printf '%s\n' "$reference" | sed -n "s/.*$1\([^;.]*\).*/\1/p" | head -1 | tr -s ', ' ' '; }
default_stages=$(printf '%s\n' "$reference" | sed -n 's/^  stages: \[\(.*\)\].*/\1/p' | tr -s ', ' ' ')
image_kinds=$(items 'image encoder; kinds: ')
spectrum_kinds=$(items 'spectrum encoder; kinds: ')
precisions=$(items 'arithmetic of the encoders; one of: ')
probes=$(items 'probes to fit; any of: ')
providers=$("$ASTROCLIP_BIN" --version | sed -n 's/^gemm  *\([a-z0-9_]*\):.*/\1/p')
for list in default_stages image_kinds spectrum_kinds precisions probes providers; do
    [ -n "${!list// /}" ] || fail "the program does not say its $list"
done

# `astroclip run` without run.stages runs the default ones, which are compared below; mock is compared here; the others are compared at the end, as
# tests/support/stages.sh says. Any other stage makes this test fail until it is there or among the defaults.
. "$(dirname "$0")/../support/stages.sh"
alone="import pack $trainings baselines search report export"
for name in $list; do
    [[ " $default_stages mock $alone " == *" $name "* ]] || fail "stage $name is not covered: say here how it is compared"
done

# ---- the sky ----

make_sky
file_sums "$work/sky" > "$work/sky.first"
mv "$work/sky" "$work/first"
ASTROCLIP_SHUFFLE=3 stage mock sky 3 > "$work/mock.log" 2>&1 || fail "mock on 3 ranks"
file_sums "$work/sky" | diff "$work/sky.first" - > "$work/skies.diff" || fail "the sky differs: $(head -3 "$work/skies.diff")"

# ---- ranks, sizes, order ----

everything=(--set "run.stages=[${default_stages// /,}]" --set "probe.probes=[${probes// /,}]")
# chain OUTPUT RANKS [arguments...]: the default stages with every probe, compared with those of two ranks
chain() {
    local output=$1
    if ! run "$1" "$2" "${everything[@]}" "${@:3}" > "$work/chain.log" 2>&1; then
        fail "the chain on $2 ranks"
        tail -20 "$work/chain.log"
    elif [ "$output" != two ]; then
        same_data two "$output"
    fi
    no_parts "$output"
}
chain two 2
chain one 1 --set embed.read_ahead=false --set embed.batch=1 --set embed.block_rows=1
ASTROCLIP_SHUFFLE=2 chain four 4 --set embed.ranks_per_volume=2 --set embed.block_rows=16 --set embed.volume_rows=50 --set tables.chunk_rows=11
chain three_ranks 3 --set embed.read_ahead=false --set embed.batch=7 --set embed.block_rows=33 --set embed.volume_rows=64 --set embed.ranks_per_volume=1
if [ -n "${ASTROCLIP_LONG:-}" ]; then
    chain five 5 --set embed.batch=1 --set embed.block_rows=1
    ASTROCLIP_SHUFFLE=7 chain eight 8 --set embed.ranks_per_volume=3 --set embed.block_rows=9 --set embed.volume_rows=17
fi

# ---- interrupted in each stage, resumed on other ranks ----

sizes=(--set embed.batch=3 --set embed.block_rows=7 --set embed.volume_rows=40)
for name in $default_stages; do
    case $name in
    catalog) point=catalog.write:1 ;;
    embed) point=embed.block:1 ;;
    probe) point=probe.write:1 ;;
    tables) point=tables.rows:1 ;;
    *) fail "no point to interrupt stage $name at: say here" && continue ;;
    esac
    FAIL_POINT=$point stage "$name" three 2 "${sizes[@]}" > "$work/cut.log" 2>&1 && fail "$name was not interrupted"
    ASTROCLIP_SHUFFLE=1 stage "$name" three 3 "${everything[@]}" "${sizes[@]}" > "$work/cut.log" 2>&1 || { fail "$name after its interruption"; tail -5 "$work/cut.log"; }
done
same_data two three
no_parts three

# ---- encoders, precisions, providers: of each, two runs that have nothing else in common ----

# pair NAME arguments...: catalogue and embeddings on 1 and on 3 ranks
pair() {
    local name=$1 side
    shift
    for side in 1 3; do
        mkdir -p "$work/$name$side"
        cp "$work/two/catalog.h5" "$work/$name$side/"
        ASTROCLIP_SHUFFLE=$side stage embed "$name$side" "$side" "$@" --set embed.block_rows=$((5 * side)) --set embed.batch="$side" --set embed.read_ahead=$([ $side = 1 ] && echo true || echo false) > "$work/pair.log" 2>&1 ||
            { fail "embed with $name on $side ranks"; tail -5 "$work/pair.log"; }
    done
    h5diff --exclude-attribute / "$work/${name}1/embeddings.h5" "$work/${name}3/embeddings.h5" > /dev/null 2>&1 || fail "embeddings with $name differ"
}
for kind in $image_kinds; do
    [ "$kind" = vit ] || pair "image_$kind" --set "model.image.kind=$kind"
done
for kind in $spectrum_kinds; do
    [ "$kind" = specformer ] || pair "spectrum_$kind" --set "model.spectrum.kind=$kind"
done
for provider in $providers; do
    for precision in $precisions; do
        [ "$provider $precision" = "${providers%%[[:space:]]*} f32" ] || pair "${provider}_$precision" --set "run.gemm=$provider" --set "embed.precision=$precision"
    done
done

# ---- the other stages; weights in and out where there is a checkpoint to read ----

for name in $alone; do
    [[ " $all_stages " == *" $name "* ]] || continue
    wants "$name" any
    for ranks in 1 3; do
        mkdir -p "$work/weights$ranks"
        cp -r "$work/two/catalog.h5" "$work/two/embeddings.h5" "$work/two/embeddings" "$work/weights$ranks/"
        stage "$name" "weights$ranks" "$ranks" "${its[@]}" > "$work/weights.log" 2>&1 || { fail "$name on $ranks ranks"; tail -3 "$work/weights.log"; }
    done
    for file in ${made[$name]}; do
        [ -d "$work/weights1/$file" ] || same_file "$work/weights1/$file" "$work/weights3/$file" || fail "$file of $name on 1 and 3 ranks differ"
    done
done
diff -r -I 'class="run"' "$work/weights1/report" "$work/weights3/report" > "$work/report.diff" || { fail "the page on 1 and 3 ranks differs"; head -5 "$work/report.diff"; }

# ---- trainings: also killed after a step on two ranks, and finished on four ----

for name in $trainings; do
    wants "$name" killed
    without killed "$name" weights1
    HANG_POINT=train.step:0:0.3,train.step:1:0.3 stage "$name" killed 2 "${its[@]}" > "$work/cut.log" 2>&1 &
    cut=$!
    for _ in $(seq 400); do
        [ -e "$work/killed/$name/state-00000001.h5" ] || ! kill -0 $cut 2> /dev/null && break
        sleep 0.05
    done
    for pid in $(members killed astroclip "astroclip $name"); do kill -KILL "$pid"; done
    wait $cut && fail "$name was not killed"
    stage "$name" killed 4 "${its[@]}" > "$work/cut.log" 2>&1 || { fail "$name after it was killed"; tail -5 "$work/cut.log"; }
    grep -q "$name: goes on after step [12] of 3" "$work/cut.log" || { fail "$name began anew"; cat "$work/cut.log"; }
    same_output weights1 weights3 "$name"
    same_output weights1 killed "$name"
done
finish
