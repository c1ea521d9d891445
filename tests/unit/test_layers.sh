#!/usr/bin/env bash
# A file includes its own and lower layers only; nn and model stay clear of par, io and data; each foreign library has one home.
set -u
cd "$(dirname "$0")/../.."
layers=(core par io data nn model train embed probe tables stages)
bad=0

rank() { local i; for i in "${!layers[@]}"; do [ "${layers[$i]}" = "$1" ] && echo "$i" && return; done; echo -1; }

for file in pipeline/*/*.[ch] include/*/*.h; do
    layer=$(basename "$(dirname "$file")")
    own=$(rank "$layer")
    [ "$own" -ge 0 ] || { echo "$file: '$layer' is no layer"; bad=1; continue; }
    while read -r used; do
        other=$(rank "$used")
        if [ "$other" -gt "$own" ]; then echo "$file: layer $layer includes the higher layer $used"; bad=1; fi
        if [[ $layer == nn || $layer == model ]] && [[ $used == par || $used == io || $used == data ]]; then
            echo "$file: $layer must not know $used"; bad=1
        fi
    done < <(sed -n 's|^ *# *include "\([a-z0-9]*\)/.*|\1|p' "$file")
    if grep -q '^ *# *include "stages.h"' "$file"; then echo "$file: includes stages.h"; bad=1; fi
done

home() { # header, pattern of files that may include it
    local hit
    hit=$(grep -lE "^ *# *include [<\"]$1[>\"]" -r pipeline stages include | grep -vE "$2")
    if [ -n "$hit" ]; then echo "$1 is included outside its home: $hit"; bad=1; fi
}
home 'mpi\.h' '^pipeline/par/'
home 'hdf5(_hl)?\.h' '^pipeline/io/h5'
home 'fitsio\.h' '^pipeline/io/fitsfile'
home 'yaml\.h' '^pipeline/core/config'
home 'cblas\.h' '^pipeline/nn/gemm_openblas\.c'
home 'dnnl\.h' '^pipeline/nn/gemm_onednn\.c'
home 'wcslib/[a-z]*\.h' '^pipeline/data/wcs\.c'
home 'chealpix\.h' '^pipeline/data/healpix\.c'
home 'zlib\.h' '^pipeline/io/gzip\.c'
home 'png\.h' '^pipeline/tables/picture\.c'
home 'faiss/[A-Za-z]*\.h' '^pipeline/probe/ann_faiss\.cpp'
home 'microhttpd\.h' '^pipeline/tables/http\.c'
home 'xxhash\.h' '^pipeline/core/hash\.c'

# Names come from files: none of them meets a shell.
if grep -nE '\b(system|popen|wordexp) *\(' -r pipeline stages include --include='*.[ch]'; then echo "a shell is started"; bad=1; fi

if grep -nE '\b(TO[D]O|FIX[M]E|XX[X])\b' -r pipeline stages include tests jobs --include='*.[ch]' --include='*.sh'; then echo "left open"; bad=1; fi
[ $bad -eq 0 ] && echo "layers hold"
exit $bad
