# For scripts of this folder, by `source`: a Docker engine of their own, in a scratch directory, that leaves nothing behind.
#
# Before: `set -euo pipefail`, the repository as the working directory, and `name`, which no other run has: that of the cgroups.
# Sets `scratch` and DOCKER_HOST.

# A socket's path has at most 107 characters.
scratch=$(mktemp -d /tmp/plimsoll-engine.XXXXXX)
export DOCKER_HOST=unix://$scratch/docker.sock
engine=''
# Others that end with the script, before the engine does, each by the name of what it does. Who ends earlier is taken out: its number may be
# somebody else's by then.
declare -A pids=()

# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    local pid controller
    set +e
    for pid in ${pids[@]+"${pids[@]}"}; do
        end "$pid" 50
    done
    if [ -n "$engine" ]; then
        timeout 30 docker ps -aq | xargs -r timeout 60 docker rm -f >/dev/null 2>&1
        timeout 30 docker network ls -q --filter type=custom | xargs -r timeout 30 docker network rm >/dev/null 2>&1
        end "$engine" 200
    fi
    umount "$scratch"/exec/netns/* 2>/dev/null
    grep -o " $scratch/[^ ]*" /proc/mounts | sort -r | xargs -r umount 2>/dev/null
    for controller in /sys/fs/cgroup/*/"$name" /sys/fs/cgroup/"$name"; do
        [ ! -d "$controller" ] || find "$controller" -depth -type d -exec rmdir {} + 2>/dev/null
    done
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() {
    local log
    printf 'FAILED: %s\n' "$*" >&2
    for log in "$scratch"/*.log; do
        [ -e "$log" ] || continue
        printf -- '--- %s\n' "${log##*/}" >&2
        tail -n 25 "$log" >&2
    done
    exit 1
}

ok() {
    printf 'ok: %s\n' "$*"
}

# What can't be had is skipped, or a failure with CI=true.
skip() {
    echo "skipped: $*" >&2
    [ "${CI:-}" != true ] || exit 69
    exit 0
}

# `end PID TENTHS`: asks it to, and then makes it.
end() {
    local pid=$1 tenths=$2
    kill "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do
        if [ "$((tenths -= 1))" -le 0 ]; then
            kill -KILL "$pid" 2>/dev/null || return 0
        fi
        sleep 0.1
    done
}

# `wait_until SECONDS WHAT COMMAND..`: until COMMAND succeeds.
wait_until() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "not within its time: $what"
        sleep 0.2
    done
    ok "$what"
}

# `need "COMMANDS" "PACKAGES"`: those that Debian has them from.
need() {
    local command missing=() commands packages
    read -ra commands <<<"$1"
    read -ra packages <<<"$2"
    lacking() {
        missing=()
        for command in "${commands[@]}"; do
            command -v "$command" >/dev/null || missing+=("$command")
        done
        [ "${#missing[@]}" -gt 0 ]
    }
    if lacking && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        timeout 120 apt-get update -qq >&2 || true
        # Their own daemons don't start in that runlevel.
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -qq -y --no-install-recommends --no-remove \
            "${packages[@]}" >&2 || true
    fi
    ! lacking || skip "missing: ${missing[*]}; on Debian: apt-get install ${packages[*]}"
    [ "$(id -u)" = 0 ] || skip "an engine of one's own needs root"
}

# Nothing of the machine's own network, storage or engine is touched.
start_engine() {
    dockerd --host "$DOCKER_HOST" --data-root "$scratch/data" --exec-root "$scratch/exec" --pidfile "$scratch/pid" \
        --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --bridge=none \
        --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$name" --oom-score-adjust 0 \
        >>"$scratch/dockerd.log" 2>&1 &
    engine=$!
    local end=$((SECONDS + 60))
    until timeout 5 docker version >/dev/null 2>&1; do
        kill -0 "$engine" 2>/dev/null && [ "$SECONDS" -lt "$end" ] || {
            tail -n 3 "$scratch/dockerd.log" >&2
            return 1
        }
        sleep 0.2
    done
}
