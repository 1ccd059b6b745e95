# For scripts of this folder, by `source` after engine.bash: the scaler, and what it does to containers called crypto-SERVICE.
#
# Before: `plimsoll`, the command, and `fleet`, the profile's file.

token=sixteen-letters-at-least
: >"$scratch/events"

limit_mib() {
    echo $(($(timeout 10 docker inspect --format '{{.HostConfig.Memory}}' "crypto-$1") >> 20))
}

limit_at_least() {
    [ "$(limit_mib "$1")" -ge "$2" ]
}

limit_at_most() {
    [ "$(limit_mib "$1")" -le "$2" ]
}

# Which events there are from now on, with nanoseconds.
listen() {
    timeout 600 docker events --filter type=container --format '{{.TimeNano}} {{.Action}} {{.Actor.Attributes.name}}' \
        >>"$scratch/events" 2>/dev/null &
    pids[watch]=$!
}

# `events ACTION CONTAINER`: how many there were.
events() {
    grep -c " $1 $2\$" "$scratch/events" || true
}

happened() {
    [ "$(events "$@")" -gt 0 ]
}

# `event_after NANOSECONDS ACTION CONTAINER`: when the first was that came after.
event_after() {
    awk -v after="$1" -v action="$2" -v container="$3" \
        '$2 == action && $3 == container && $1 > after { print $1; found = 1; exit } END { exit !found }' "$scratch/events"
}

# `scale NAME ARGS..`: the output in NAME.log, as everything that is said.
scale() {
    local log=$scratch/$1.log
    shift
    PLIMSOLL_CLEANUP_TOKEN=$token "$plimsoll" scale --profile "$fleet" --state "$scratch/state.json" "$@" >"$log" 2>&1 &
    pids[scaler]=$!
}

# Until it has ended with 0.
await_scaler() {
    local ended=0
    wait "${pids[scaler]}" || ended=$?
    unset 'pids[scaler]'
    [ "$ended" = 0 ] || fail "the scaler ended with $ended"
}

stop_scaler() {
    kill "${pids[scaler]}"
    await_scaler
}

says() {
    grep -q -- "$2" "$scratch/$1.log" 2>/dev/null
}

# `metric HOST:PORT NAME`
metric() {
    curl -sf --max-time 2 "http://$1/metrics" | awk -v name="$2 " 'index($0, name) == 1 { print $NF; found = 1 } END { exit !found }'
}

metric_is() {
    [ "$(metric "$1" "$2")" = "$3" ]
}
