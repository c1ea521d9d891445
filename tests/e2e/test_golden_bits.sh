#!/usr/bin/env bash
# test_golden_bits.sh [--refresh]: results do not change behind the back of the stage's `revision`, on which it rests whether an artefact that is there
# counts as current. golden_bits.txt holds, for some machines, the checksums of the data that each stage makes of one tiny mock sky.
#   stage  revision  checksum  what it was made with
# A stage whose checksum changed though its inputs did not: find out why, or raise .revision in stages/STAGE.c and say --refresh, which replaces the lines
# of this machine in golden_bits.txt. Where the table has no line for this machine there is nothing to compare: --refresh adds one.
. "$(dirname "$0")/../support/sky.sh"
table=tests/e2e/golden_bits.txt
chain=(mock catalog pack embed probe tables search)
declare -A artefact=([catalog]=catalog.h5 [pack]=dataset.h5 [embed]=embeddings.h5 [probe]=probes.h5 [tables]=properties.fits [search]=matches.fits)
tiny=(--set mock.objects=24 --set mock.per_brick=24 --set probe.min_rows=10)

version=$("$ASTROCLIP_BIN" --version)
made_with=$(printf '%s\n' "$version" | sed -nE 's/^(gemm +openblas:|cfitsio|CPU) +//p; s/^gemm +amx: +/amx /p' | paste -sd ' ')
made_with="$made_with, $(getconf GNU_LIBC_VERSION)"
# A machine has each stage once, and no other: what else is there, a refresh mends.
odd=$(grep -v '^#' "$table" | awk -v chain="${chain[*]}" '{ stage = $1; $1 = $2 = $3 = ""; seen[$0, stage]++; of[$0] = 1 }
    END { n = split(chain, name, " "); for (m in of) for (i = 1; i <= n; i++) if (seen[m, name[i]] != 1) { print m; break } }')
[ "${1:-}" = --refresh ] || [ -z "$odd" ] || { fail "golden_bits.txt does not hold each stage once for each machine: $odd"; finish; }
revision_of() { "$ASTROCLIP_BIN" about "$1" | sed -nE '1s/.*\(revision ([0-9]+)\)$/\1/p'; }
if [ "${1:-}" != --refresh ] && ! grep -qF "  $made_with" "$table"; then
    echo "no golden bits for $made_with: nothing to compare (--refresh adds them)"
    exit 77
fi

: > "$work/lines"
for name in "${chain[@]}"; do
    stage "$name" out 2 "${tiny[@]}" > "$work/$name.log" 2>&1 || { fail "$name"; tail -5 "$work/$name.log"; finish; }
    if [ "$name" = mock ]; then
        sum=$(file_sums "$work/sky" | grep -v MOCK-SKY | md5sum | cut -d' ' -f1)
    else
        "$ASTROCLIP_BIN" inspect "$work/out/${artefact[$name]}" --verify > "$work/inspect.log" || fail "${artefact[$name]} does not hold what it says"
        sum=$(sed -nE 's/^ +data +([0-9a-f]{32})$/\1/p' "$work/inspect.log")
    fi
    [ -n "$sum" ] || fail "no checksum of what $name made"
    printf '%-8s %4s  %s  %s\n' "$name" "$(revision_of "$name")" "$sum" "$made_with" >> "$work/lines"
done

[ $failures -eq 0 ] || finish
if [ "${1:-}" = --refresh ]; then
    { grep -vF "  $made_with" "$table"; cat "$work/lines"; } > "$work/table" && cp "$work/table" "$table"
    cat "$work/lines"
    finish
fi
while read -r name revision sum _; do
    read -r _ old_revision old_sum _ < <(grep -F "  $made_with" "$table" | grep "^$name ")
    [ "$sum $revision" = "$old_sum $old_revision" ] && continue
    if [ "$revision" != "$old_revision" ]; then
        fail "$name has revision $revision, golden_bits.txt $old_revision: say tests/e2e/test_golden_bits.sh --refresh"
    else
        fail "$name makes other data than before ($sum, not $old_sum) and its revision is still $revision: find out why, or raise it in stages/$name.c"
    fi
    break # what comes after it has other inputs
done < "$work/lines"
finish
