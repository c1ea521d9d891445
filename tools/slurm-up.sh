#!/usr/bin/env bash
# tools/slurm-up.sh [up|down] [DIR]: a SLURM of one node on this machine's loopback, from Debian packages, to try jobs/submit on. As root, without systemd and
# without cgroups; all its files in DIR (default /tmp/astroclip-slurm). `up` installs what is missing and does nothing when it runs already; `down` stops it.
#     tools/slurm-up.sh up && export SLURM_CONF=/tmp/astroclip-slurm/slurm.conf
# $SLURM_CPUS: cores that it hands out (default: all). There is no accounting, so no sacct, as on many small clusters.
set -euo pipefail
command=${1:-up} dir=${2:-/tmp/astroclip-slurm}
export SLURM_CONF=$dir/slurm.conf
daemons=(slurmd slurmctld munged)
die() { echo "tools/slurm-up.sh: $*" >&2; exit 1; }

# The process that a daemon's pid file names, if it is that daemon and lives.
alive() {
    local pid
    pid=$(cat "$dir/$1.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] &&
        [ "$(awk '/^State:/ { print $2 }' "/proc/$pid/status")" != Z ] && echo "$pid"
}

down() {
    local name pid
    for name in "${daemons[@]}"; do
        pid=$(alive "$name") || continue
        kill "$pid"
        for _ in $(seq 100); do alive "$name" >/dev/null || break; sleep 0.1; done
        alive "$name" >/dev/null && kill -9 "$pid"
        echo "$name ($pid) stopped"
    done
}

write_configuration() {
    local memory=$(($(awk '/MemTotal/ { print $2 }' /proc/meminfo) / 1024 - 512))
    cat > "$SLURM_CONF" <<CONF
ClusterName=local
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.sock,cred_expire=10
CredType=cred/munge
SlurmctldPort=${SLURM_CTLD_PORT:-16817}
SlurmdPort=${SLURM_D_PORT:-16818}
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=pmix
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
SwitchType=switch/none
InactiveLimit=0
KillWait=5
MinJobAge=300
SlurmctldDebug=info
SlurmdDebug=info
NodeName=localhost NodeAddr=127.0.0.1 CPUs=${SLURM_CPUS:-$(nproc)} RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO DefMemPerCPU=512
CONF
    # slurmd reads it without any cgroup plugin, too
    printf '%s\n' CgroupPlugin=cgroup/v1 CgroupAutomount=no ConstrainCores=no ConstrainRAMSpace=no > "$dir/cgroup.conf"
}

start_munge() {
    alive munged >/dev/null && return
    install -d -m 700 "$dir/munge"
    [ -s "$dir/munge/key" ] || (umask 077 && head -c 1024 /dev/urandom > "$dir/munge/key")
    munged --key-file="$dir/munge/key" --socket="$dir/munge.sock" --pid-file="$dir/munged.pid" --log-file="$dir/munge/log" \
        --seed-file="$dir/munge/seed" --force
    munge -S "$dir/munge.sock" -n | unmunge -S "$dir/munge.sock" >/dev/null || die "munge does not answer: $dir/munge/log"
}

wait_until_idle() {
    local state=
    for _ in $(seq 100); do
        state=$(sinfo -h -o %T 2>/dev/null || true)
        [[ $state =~ ^(idle|mixed|allocated)$ ]] && { echo "slurm is up: $(sinfo -h -N -o '%N, %c cores, %m MB'); export SLURM_CONF=$SLURM_CONF"; return; }
        sleep 0.2
    done
    tail -n 5 "$dir"/*.log >&2
    die "the node does not come up (${state:-no answer})"
}

up() {
    [ "$(id -u)" -eq 0 ] || die "only root can start the daemons"
    "$(dirname "$0")/../jobs/packages.sh" slurm-wlm slurm-wlm-basic-plugins munge openmpi-bin
    command -v slurmctld munged >/dev/null || die "slurm-wlm and munge are not installed"
    install -d -m 755 "$dir" "$dir/state" "$dir/spool"
    start_munge
    if ! alive slurmctld >/dev/null || ! alive slurmd >/dev/null; then
        write_configuration
        alive slurmctld >/dev/null || slurmctld -c -f "$SLURM_CONF"
        alive slurmd >/dev/null || slurmd -c -f "$SLURM_CONF" -N localhost
    fi
    wait_until_idle
}

case $command in
up | down) "$command" ;;
*) die "up or down, not '$command'" ;;
esac
