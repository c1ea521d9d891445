#!/usr/bin/env bash
# MoCo v2: a checkpoint in the released layout is imported, strictly; what its network says of the images of a small sky is what PyTorch says, and has a
# row in the paper's table. Needs a Python with torch and h5py, named by ASTROCLIP_TORCH.
. "$(dirname "$0")/../support/sky.sh"
python=${ASTROCLIP_TORCH:-}
[ -n "$python" ] || { echo "ASTROCLIP_TORCH names no Python with torch: skipped"; exit 77; }
peer=tests/e2e/moco.py

small=(--set moco.width=4 --set moco.emb_dim=16 --set moco.image_size=40)
# done_by RANKS STAGE [arguments]: into `out`
done_by() { stage "$2" out "$1" "${small[@]}" "${@:3}" > "$work/$2.log" 2>&1 || { fail "$2"; tail -5 "$work/$2.log"; }; }

make_sky
"$python" "$peer" write "$work/lightning.ckpt" "$work/plain.pth.tar" || fail "PyTorch"
done_by 1 catalog
done_by 1 pack
for file in plain.pth.tar lightning.ckpt; do
    done_by 1 import --set "import.input=$work/$file" --set import.output=moco.ckpt.h5
    grep -q '269 tensors of MoCo v2' "$work/import.log" || { fail "import of $file"; cat "$work/import.log"; }
    grep -q 'moco: {backbone: resnet50, width: 4, emb_dim: 16, use_mlp: true}' "$work/import.log" || fail "the sizes of $file are not told"
    done_by 1 export --set export.input=moco.ckpt.h5 --set "export.output=$work/again-$file"
done
done_by 2 baselines --set 'baselines.models=[moco]'
"$python" "$peer" check "$work/lightning.ckpt" "$work/out/dataset.h5" "$work/out/baselines.h5" "$work/again-plain.pth.tar" "$work/again-lightning.ckpt" ||
    fail "PyTorch finds something else"
done_by 1 embed
done_by 1 probe --set probe.baselines=true --set 'probe.probes=[ridge,knn]'
for method in linear 'zero-shot kNN'; do
    grep -q "^image,MoCo v2 (Stein et al.),$method,-\?[0-9]" "$work/out/table.csv" || { fail "no row by $method in the table"; cat "$work/out/table.csv"; }
done

# what does not fit is told, and leaves nothing
mkdir -p "$work/wrong"
cp "$work/out/catalog.h5" "$work/out/dataset.h5" "$work/out/moco.ckpt.h5" "$work/wrong/"
stage baselines wrong 2 --set 'baselines.models=[moco]' > "$work/wrong.log" 2>&1 && fail "weights of another size were taken"
grep -q 'moco: {backbone: resnet50, width: 4' "$work/wrong.log" || { fail "the sizes that would fit are not told"; cat "$work/wrong.log"; }
[ ! -e "$work/wrong/baselines.h5" ] || fail "a refused checkpoint left a file"
finish
