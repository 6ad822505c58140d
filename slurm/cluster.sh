#!/usr/bin/env bash
# A real SLURM cluster on this one machine: accounting, two nodes, three partitions. For trying the suite, and its tests.
#
#   eval "$(slurm/cluster.sh up)"     start it; the line that is evaluated points sinfo, sbatch, ... at it
#   slurm/cluster.sh status           its daemons, partitions and queue
#   slurm/cluster.sh down             stop what was started and remove its folder
#   slurm/cluster.sh start NAME       start one daemon again that was killed: slurmctld, n1, ...
#
# Debian and Ubuntu: apt-get install slurmctld slurmd slurm-client slurmdbd munge mariadb-server
# Ports are free ones of the loopback interface; configuration, keys, logs, database and the daemons' process ids lie in
# one folder, $SLURM_TRIAL (default /tmp/slurm-trial-$USER). Nothing outside it is read or changed; no systemd is needed.
set -Eeuo pipefail
PATH=$PATH:/usr/sbin:/sbin

me=$(id -un)
home=${SLURM_TRIAL:-/tmp/slurm-trial-$me}
nodes=(n1 n2)
daemons=(munged mariadbd slurmdbd slurmctld "${nodes[@]}")

main() {
    case "${1:-}" in
        up) up ;;
        down) down ;;
        status) status ;;
        start)
            [ -e "$home/slurm.conf" ] || fail "nothing is up in $home"
            start "${2:?which daemon? ${daemons[*]}}" ;;
        *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
    esac
}

up() {
    [[ $home != *[[:space:]]* ]] || fail "SLURM_TRIAL='$home': MariaDB and SLURM take no folder with spaces"
    for command in munged mariadbd mariadb-install-db slurmdbd slurmctld slurmd sbatch; do
        command -v "$command" >/dev/null || fail "$command is not installed; see the head of $0"
    done
    if [ -e "$home/slurm.conf" ]; then
        for name in "${daemons[@]}"; do alive "$name" || start "$name"; done
    else
        trap 'tail -n 3 "$home"/log/* >&2; down' ERR
        mkdir -p "$home"/{run,log,spool,state}
        chmod 755 "$home"
        configure
        for name in munged mariadbd; do start "$name"; done
        create_database
        for name in slurmdbd; do start "$name"; done
        register
        for name in slurmctld "${nodes[@]}"; do start "$name"; done
        wait_for "two idle nodes" idle_nodes
        trap - ERR
    fi
    echo "export SLURM_CONF=$(printf %q "$home/slurm.conf")"
}

configure() {
    local ports
    read -ra ports < <(free_ports $((3 + ${#nodes[@]})))
    dd if=/dev/urandom of="$home/munge.key" bs=1 count=1024 status=none
    chmod 400 "$home/munge.key"
    (umask 077 && write_slurmdbd_conf "${ports[0]}" "${ports[1]}" >"$home/slurmdbd.conf")
    write_slurm_conf "${ports[@]}" >"$home/slurm.conf"
    echo "Name=gpu File=/dev/null" >"$home/gres.conf"
    echo "${ports[0]}" >"$home/mariadb.port"
}

write_slurmdbd_conf() {
    cat <<END
AuthType=auth/munge
AuthInfo=socket=$home/run/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$2
SlurmUser=$me
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$1
StorageUser=slurm
StorageLoc=slurm
LogFile=$home/log/slurmdbd.log
PidFile=$home/run/slurmdbd.pid
END
}

# Short waits everywhere: credentials expire soon, so that requeued jobs start at once; a dead node is noticed in half a
# minute. Nodes may claim more cores than there are (config_overrides), and a GPU each that is none: these jobs are for
# trying, not for speed.
write_slurm_conf() {
    cat <<END
ClusterName=trial
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$3
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
AuthInfo=socket=$home/run/munge.socket,cred_expire=5
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool/%n
SlurmctldPidFile=$home/run/slurmctld.pid
SlurmdPidFile=$home/run/%n.pid
SlurmctldLogFile=$home/log/slurmctld.log
SlurmdLogFile=$home/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=30
KillWait=10
InactiveLimit=0
MaxArraySize=101
JobRequeue=1
SlurmctldParameters=preempt_send_user_signal
SchedulerParameters=sched_interval=2,sched_min_interval=200000,bf_interval=2,batch_sched_delay=0
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$2
AccountingStoragePass=$home/run/munge.socket
AccountingStorageEnforce=associations,limits
END
    for i in "${!nodes[@]}"; do
        echo "NodeName=${nodes[i]} NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=${*:4+i:1} CPUs=4 RealMemory=16000 Gres=gpu:1"
    done
    cat <<END
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefMemPerCPU=500 PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=urgent Nodes=ALL MaxTime=INFINITE DefMemPerCPU=500 PriorityTier=10 PreemptMode=OFF
PartitionName=short Nodes=ALL MaxTime=2 DefMemPerCPU=500 PriorityTier=1 PreemptMode=OFF
END
}

create_database() {
    wait_for "MariaDB" sql "SELECT 1"
    sql "CREATE DATABASE slurm; CREATE USER 'slurm'@'127.0.0.1'; CREATE USER 'slurm'@'localhost';
         GRANT ALL ON slurm.* TO 'slurm'@'127.0.0.1'; GRANT ALL ON slurm.* TO 'slurm'@'localhost'"
}

sql() {
    mariadb --no-defaults --socket="$home/run/mariadb.socket" --user="$me" --execute="$1" >/dev/null 2>&1
}

register() {
    wait_for "slurmdbd" accounting show cluster
    accounting add cluster trial
    accounting add account trial cluster=trial
    accounting add user "$me" account=trial adminlevel=admin
}

accounting() {
    SLURM_CONF=$home/slurm.conf timeout 20 sacctmgr --immediate --quiet "$@" >/dev/null 2>&1
}

idle_nodes() {
    [ "$(SLURM_CONF=$home/slurm.conf sinfo --noheader --Node --partition=main --states=idle 2>/dev/null | wc -l)" = ${#nodes[@]} ]
}

start() {
    alive "$1" && return
    rm -f "$home/run/$1.pid"
    case "$1" in
        munged)
            munged --force --key-file="$home/munge.key" --socket="$home/run/munge.socket" --num-threads=2 \
                --pid-file="$home/run/munged.pid" --log-file="$home/log/munged.log" --seed-file="$home/state/munge.seed" \
                2>>"$home/log/munged.log" ;;
        mariadbd)
            [ -d "$home/database" ] || mariadb-install-db --no-defaults --user="$me" --datadir="$home/database" \
                --auth-root-authentication-method=socket --auth-root-socket-user="$me" --skip-test-db \
                >"$home/log/mariadb-install.log" 2>&1
            mariadbd --no-defaults --user="$me" --datadir="$home/database" --socket="$home/run/mariadb.socket" \
                --bind-address=127.0.0.1 --port="$(cat "$home/mariadb.port")" --pid-file="$home/run/mariadbd.pid" \
                --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --log-error="$home/log/mariadbd.log" \
                </dev/null >/dev/null 2>&1 & ;;
        slurmdbd) (cd "$home/run" && SLURM_CONF=$home/slurm.conf slurmdbd) ;;
        slurmctld) slurmctld -f "$home/slurm.conf" ;;
        n*) slurmd -f "$home/slurm.conf" -N "$1" ;;
        *) fail "unknown daemon '$1'; valid: ${daemons[*]}" ;;
    esac
    wait_for "$1" alive "$1"
}

# Nodes last but first to go: their jobs end with them.
down() {
    local name i
    [ -d "$home" ] || return 0
    if alive slurmctld; then
        SLURM_CONF=$home/slurm.conf timeout 20 scancel --user="$me" 2>/dev/null || true
        for ((i = 0; i < 75; i++)); do
            [ -z "$(SLURM_CONF=$home/slurm.conf timeout 20 squeue --noheader 2>/dev/null)" ] && break
            sleep 0.2
        done
    fi
    for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do stop "${daemons[i]}"; done
    rm -rf "$home"
}

stop() {
    local pid i
    alive "$1" || return 0
    pid=$(cat "$home/run/$1.pid")
    kill "$pid"
    for ((i = 0; i < 100; i++)); do
        alive "$1" || return 0
        sleep 0.1
    done
    kill -9 "$pid"
}

# A process id may belong to another process by now; a daemon's command line tells.
alive() {
    local pid
    pid=$(cat "$home/run/$1.pid" 2>/dev/null) && [ -n "$pid" ] &&
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -Eq '^[^ ]*(munged|mariadbd|slurmdbd|slurmctld|slurmd) ?'
}

status() {
    [ -d "$home" ] || { echo "down: there is no $home"; return 3; }
    for name in "${daemons[@]}"; do
        if alive "$name"; then echo "$name: process $(cat "$home/run/$name.pid")"; else echo "$name: dead"; fi
    done
    SLURM_CONF=$home/slurm.conf sinfo && SLURM_CONF=$home/slurm.conf squeue
}

wait_for() {
    local i what=$1
    shift
    for ((i = 0; i < 300; i++)); do
        "$@" && return
        sleep 0.1
    done
    echo "$what did not come up in 30 s" >&2
    return 1
}

free_ports() {
    python3 - "$1" <<'END'
import socket, sys

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(each.getsockname()[1] for each in sockets))
END
}

fail() {
    echo "error: $1" >&2
    exit 2
}

main "$@"
