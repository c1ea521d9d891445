#!/usr/bin/env bash
# test_disk.sh [KB...]: a disk that is full, at the start of a stage or further on, and a folder that cannot be written. The stage ends with exit code 4 and one
# message that names file and reason, in time, without a crash; no file has its final name; with room again the same command completes, to the same bits. The disk
# is a tmpfs of our own: without the right to mount one nothing is tested. With arguments: every stage with so many KB left, each of them.
. "$(dirname "$0")/../support/sky.sh"
disk=$work/disk golden=${ASTROCLIP_GOLDEN:-${ASTROCLIP_SHARED:-../shared}/golden}
mkdir "$disk"
mount -t tmpfs -o size=200m tmpfs "$disk" 2> "$work/mount.log" || { echo "skipped: $(cat "$work/mount.log")"; exit 77; }
trap 'umount -l "$disk"; rm -rf "$work"' EXIT
small=(--set mock.objects=24 --set mock.per_brick=24 --set probe.min_rows=10 --set embed.block_rows=8)
make_sky "${small[@]}"
run whole 2 "${small[@]}" > "$work/whole.log" 2>&1 || { fail "the undisturbed chain"; tail -5 "$work/whole.log"; finish; }

room() { mount -o "remount,rw,size=$1" "$disk"; }
used() { du -sk "$disk" | cut -f1; }
declare -A made=([catalog]=catalog.h5 [embed]="embeddings.h5 embeddings" [probe]="probes.h5 scores.csv" [tables]="properties.fits properties.fits.sha256sum"
    [import]=astroclip.ckpt.h5 [export]=x.ckpt [mock]="") # a sky: its lists come first, its stamp says whether it is finished
cases=0

# refused STAGE HOW FOLDER: the job ended as it should ($code, full.log) and left nothing in FOLDER
refused() {
    local name=$1 how=$2 file
    cases=$((cases + 1))
    [ $code -eq 4 ] || { fail "$name, $how: exit code $code"; grep -v '^\[' "$work/full.log" | head -5; }
    [ "$(grep -c '^error (' "$work/full.log")" -eq 1 ] || { fail "$name, $how: not one message"; grep -A3 '^error' "$work/full.log"; }
    grep -qE "^error \(output\).*$disk.*([Nn]o space|[Ff]ull|Read-only)" "$work/full.log" || { fail "$name, $how: the message does not say where and why"; grep -A2 '^error' "$work/full.log"; }
    for file in ${made[$name]}; do
        [ ! -f "$3/$file" ] || fail "$name, $how: left $file"
    done
}

# fill STAGE KB [arguments]: the stage with so much room left. False when that is enough.
fill() {
    local name=$1 more=$2
    room 200m
    room $(($(used) + more))k # a tmpfs of size 0 would be without limits
    shift 2
    stage "$name" disk 2 "${small[@]}" "$@" > "$work/full.log" 2>&1
    code=$?
    [ $code -ne 0 ] || [ $# -gt 0 ] || return 1
    refused "$name" "$more KB left" "$disk"
}

# ---- full ----

declare -A left=([catalog]=24 [embed]="8 24" [probe]=32 [tables]="0 12") # KB
[ $# -eq 0 ] || for name in catalog embed probe tables; do left[$name]="$*"; done
for name in catalog embed probe tables; do
    for more in ${left[$name]}; do
        fill "$name" "$more" || { [ $# -gt 0 ] || fail "$name: $more KB are enough"; break; }
    done
    room 200m
    stage "$name" disk 3 "${small[@]}" > "$work/after.log" 2>&1 || { fail "$name with room again"; tail -5 "$work/after.log"; }
done
same_data whole disk
no_parts disk

# ---- a folder that cannot be written: there is nothing to lock either ----

read_only() { mount -o remount,ro "$disk"; }
read_only
stage tables disk 2 "${small[@]}" > "$work/current.log" 2>&1 || { fail "a stage that is current wants to write"; tail -3 "$work/current.log"; }
for name in catalog embed tables; do
    room 200m
    for file in ${made[$name]}; do rm -rf "${disk:?}/$file"; done
    read_only
    stage "$name" disk 2 "${small[@]}" > "$work/full.log" 2>&1
    code=$?
    refused "$name" "read-only" "$disk"
    room 200m
    cp -rp "$work/whole/." "$disk"
done

# ---- weights, and a sky ----

if [ -s "$golden/astroclip_tiny.ckpt" ]; then
    room 200m
    one=(--set "import.input=$golden/astroclip_tiny.ckpt")
    fill import 64 "${one[@]}"
    room 200m
    for output in disk whole; do stage import $output 1 "${one[@]}" > "$work/after.log" 2>&1 || { fail "import with room again"; tail -5 "$work/after.log"; }; done
    h5diff "$work/whole/astroclip.ckpt.h5" "$disk/astroclip.ckpt.h5" /weights /weights > /dev/null || fail "weights after a full disk differ"
fi
there=(--set "release.spectra.root=$disk/sky/desi" --set "release.images.root=$disk/sky/legacy" --set "release.labels=$disk/sky/labels.hdf5")
files() { file_sums "$1" | grep -vE 'truth.fits|votes.csv|\.part ' | LC_ALL=C sort; }
files "$work/sky" > "$work/sky.sums"
fill mock 6000 "${there[@]}" --force
room 200m
[ -z "$(LC_ALL=C comm -23 <(files "$disk/sky") "$work/sky.sums")" ] || fail "mock left unfinished files: $(LC_ALL=C comm -23 <(files "$disk/sky") "$work/sky.sums")"
grep -q unfinished "$disk/sky/desi/MOCK-SKY" || fail "a sky without room counts as finished"
stage mock disk 2 "${small[@]}" "${there[@]}" > "$work/after.log" 2>&1 || { fail "mock with room again"; tail -5 "$work/after.log"; }
cmp -s <(files "$disk/sky") "$work/sky.sums" || fail "the sky after a full disk is another one"
echo "$cases cases"
finish
