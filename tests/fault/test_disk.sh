#!/usr/bin/env bash
# A disk that is full, and an output folder that cannot be written: one message with the reason, exit code 4, no hang, no file with a final name.
# With room again the same command completes, to the same bits. The disk is a small tmpfs of our own: without the right to mount, nothing is tested.
. "$(dirname "$0")/../support/sky.sh"
disk=$work/disk
mkdir "$disk"
mount -t tmpfs -o size=8m tmpfs "$disk" 2> "$work/mount.log" || { echo "skipped: $(cat "$work/mount.log")"; exit 77; }
trap 'umount -l "$disk"; rm -rf "$work"' EXIT
small=(--set mock.objects=48 --set mock.per_brick=48)
make_sky "${small[@]}"
run whole 2 "${small[@]}" > "$work/whole.log" 2>&1 || { fail "the undisturbed chain"; tail -5 "$work/whole.log"; finish; }
room() { mount -o "remount,size=$1" "$disk"; }
declare -A made=([catalog]=catalog.h5 [embed]="embeddings.h5 embeddings" [probe]="probes.h5 scores.csv" [tables]="properties.fits properties.fits.sha256sum")

# refuses STAGE HOW: it ends with code 4 and one message, and none of its files has its final name
refuses() {
    local name=$1 how=$2 code file
    stage "$name" disk 2 "${small[@]}" > "$work/full.log" 2>&1
    code=$?
    [ $code -eq 4 ] || { fail "$name, $how: exit code $code"; grep -v '^\[' "$work/full.log"; }
    [ "$(grep -c '^error (' "$work/full.log")" -eq 1 ] || { fail "$name, $how: not one message"; grep -A3 '^error' "$work/full.log"; }
    grep -qE "^error \(output\).*($disk|in use)" "$work/full.log" || fail "$name, $how: the message does not say where"
    for file in ${made[$name]}; do
        [ ! -f "$disk/$file" ] || fail "$name, $how: left $file"
    done
}

# the disk is full at the start of the stage, and further on
declare -A left=([catalog]=8 [embed]="8 64" [probe]=64 [tables]="0 12") # KB
for name in catalog embed probe tables; do
    for more in ${left[$name]}; do
        room 8m
        used=$(du -sk "$disk" | cut -f1)
        room $((used + more))k
        refuses "$name" "$more KB left"
        room 8m
    done
    stage "$name" disk 3 "${small[@]}" > "$work/after.log" 2>&1 || { fail "$name with room again"; tail -5 "$work/after.log"; }
done
same_data whole disk
no_parts disk

# the folder cannot be written: nothing to lock either
mount -o remount,ro "$disk"
stage tables disk 2 "${small[@]}" > "$work/read.log" 2>&1 || { fail "a stage that is current wants to write"; tail -3 "$work/read.log"; }
for name in catalog embed tables; do
    mount -o remount,rw "$disk"
    for file in ${made[$name]}; do rm -rf "${disk:?}/$file"; done
    mount -o remount,ro "$disk"
    refuses "$name" "read-only"
    grep -q 'Read-only' "$work/full.log" || { fail "$name, read-only: no reason given"; grep -A2 '^error' "$work/full.log"; }
    mount -o remount,rw "$disk"
    cp -rp "$work/whole/." "$disk"
done
finish
