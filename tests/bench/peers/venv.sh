#!/usr/bin/env bash
# venv.sh: makes, where it is missing, a virtual environment with what the measurements compare with (PyTorch for CPUs, numpy,
# astropy, h5py, scikit-learn, FAISS; a few GB from PyPI; pip's own settings, PIP_EXTRA_INDEX_URL among
# them, may name a smaller build of PyTorch) and prints the path of its python. It lies outside the repository, in
# ${XDG_CACHE_HOME:-$HOME/.cache}/astroclip-bench; remove that folder to have it made again.
set -euo pipefail
folder=${XDG_CACHE_HOME:-$HOME/.cache}/astroclip-bench
python=$folder/bin/python3
if [ ! -e "$folder/complete" ]; then
    {
        rm -rf "$folder"
        python3 -m venv "$folder"
        "$python" -m pip install --quiet --upgrade pip
        "$python" -m pip install --quiet torch numpy astropy h5py scikit-learn faiss-cpu
        touch "$folder/complete"
    } >&2
fi
echo "$python"
