#!/usr/bin/env bash
# jobs/packages.sh PACKAGE...: installs those Debian packages that are missing, as root or through sudo. It fails, naming them, where neither will do.
# Elsewhere it does nothing: README.md names what other systems need.
set -euo pipefail
command -v dpkg-query apt-get >/dev/null || { echo "jobs/packages.sh: not a Debian system, nothing is installed: see README.md"; exit 0; }

missing=()
for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

give_up() {
    printf '%s\n' "jobs/packages.sh: $1. This, as root, installs what is missing:" \
        "    apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
}

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up "packages are missing, and you are neither root nor have sudo"
    sudo apt-get --version >/dev/null || give_up "packages are missing, and sudo refuses"
    as_root=(sudo)
fi
echo "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"${as_root[@]}" apt-get -qq update &>"$log" || true # with a source that is down, the lists at hand may do
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "${missing[@]}" &>>"$log" ||
    { tail -n 5 "$log" >&2; give_up "packages could not be installed"; }
