# shellcheck shell=bash
# What is measured, ready to run. Read by scripts/bench.

limit=$((900 + (rows * tables + transactions) / 1000))
probe() { run "$folder/probe" "$@"; }

# Further flags of skein, for a part that needs some.
more=()

# The command for the schema $1, as the array `task`.
set_task() {
    task=("$skein" migrate --source "mysql://skein@127.0.0.1:${port[source]}"
        --target "mysql://skein@127.0.0.1:${port[target]}" --tables "$1.*" --name bench
        --state-dir "$folder/state" --readers "$threads" --output json "${more[@]}")
}

# Runs skein until it has caught up: sets `took`, `used` (CPU seconds) and `began`. $1: part, for
# memory; $2: schema
migrate() {
    local status=0 memory user system
    set_task "$2"
    began=$(now)
    run /usr/bin/time -q -o "$folder/time" -f '%e %U %S %M' "${attended[@]}" \
        timeout --foreground "$limit" "${task[@]}" --until caught-up > "$folder/skein.out" 2> "$folder/skein.err" < /dev/null || status=$?
    ended=$(now)
    if [ $status != 0 ]; then
        problem "$1: skein migrate ended with exit code $status: $(tail -n 2 "$folder/skein.err" \
            | cut -c1-600) $(grep '"error"' "$folder/skein.out" | cut -c1-600 || true)"
        return 1
    fi
    read -r _ user system memory < "$folder/time"
    took=$(compute "$ended - $began")
    used=$(compute "$user + $system")
    record "memory.$1" "$(compute "$memory / 1024")"
}

# A source with the schema $1, on which nobody works, becomes `target0`, a target that skein has
# filled and whose checkpoint is there, and `replica0`, a copy of the source that can go on from here.
prepare_pair() {
    local from
    clone base target
    start target
    rm -rf "$folder/state"
    if ! migrate initial "$1" || ! equal 'first copy' target "$1"; then
        stop target
        return 1
    fi
    stop target
    mv "$folder/state" "$folder/state0" 2> /dev/null || mkdir -p "$folder/state0"
    rm -rf "$folder/target0"
    mv "$folder/target" "$folder/target0"
    from=$(gtid source)
    stop source
    clone source replica
    start replica
    sql replica "RESET MASTER; SET GLOBAL gtid_slave_pos = '$from'"
    stop replica
    rm -rf "$folder/replica0"
    mv "$folder/replica" "$folder/replica0"
    start source
    warm source
}

forget_pair() {
    stop source
    rm -rf "$folder/target0" "$folder/replica0" "$folder/state0" "$folder/state"
}

fresh_target() {
    clone target0 target
    rm -rf "$folder/state"
    cp -a "$folder/state0" "$folder/state"
    start target
    warm target
    sync -f "$folder"
}

# $1: threads
fresh_replica() {
    clone replica0 replica
    start replica
    warm replica
    sync -f "$folder"
    sql replica << END
SET GLOBAL slave_parallel_threads = $1;
CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=${port[source]}, MASTER_USER='skein',
    MASTER_PASSWORD='$SKEIN_SOURCE_PASSWORD', MASTER_USE_GTID=slave_pos;
END
}
