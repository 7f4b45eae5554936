# shellcheck shell=bash
# The parts `latency`, `binlog`, `memory` and `tables`. Read by scripts/bench.

# MARK: latency

# $1: server; $2: key; `next`: the first free id
light_load() {
    local count=$((light_seconds * 50))
    # The first ones wait for the start, and are not counted.
    if ! probe latency "$folder/source/socket" "$folder/$1/socket" light.beat "$next" 50 20000 \
        > /dev/null || ! probe latency "$folder/source/socket" "$folder/$1/socket" light.beat \
        $((next + 50)) "$count" 20000 > "$folder/latencies"; then
        problem "latency: $2 failed"
        return 1
    fi
    next=$((next + 50 + count))
    record "latency.$2.p50" "$(sort -n "$folder/latencies" | awk '{ v[NR] = $1 } END { print v[int(NR * 0.5) + 1] / 1000 }')"
    record "latency.$2.p99" "$(sort -n "$folder/latencies" | awk '{ v[NR] = $1 } END { print v[int(NR * 0.99) + 1] / 1000 }')"
}

# Latency of skein, which ends after it. $1: key; further: flags
follow_light() {
    local key=$1 follower status
    shift
    set_task light
    "${attended[@]}" "${task[@]}" "$@" > "$folder/follow.out" 2> "$folder/follow.err" < /dev/null &
    follower=$!
    jobs+=("$follower")
    light_load target "$key" || tail -n 3 "$folder/follow.err" >&2
    if kill -0 "$follower" 2> /dev/null; then record memory.latency "$(peak "$follower")"; fi
    kill "$follower" 2> /dev/null || true
    status=0
    wait "$follower" || status=$?
    case $status in
        0 | 143) ;;
        *) problem "latency: $key ended with exit code $status: $(tail -n 2 "$folder/follow.err" | cut -c1-600)" ;;
    esac
    unset 'jobs[-1]'
}

part_latency() {
    local round next=1
    clone base source
    start source
    sql source 'CREATE DATABASE light; CREATE TABLE light.beat (id INT PRIMARY KEY, at DATETIME(6)); RESET MASTER'
    prepare_pair light || { forget_pair; return; }
    fresh_target
    fresh_replica 0
    for round in $(seq "$rounds"); do
        sql replica 'START SLAVE'
        light_load replica replica || true
        sql replica 'STOP SLAVE'
        follow_light skein
        follow_light direct --no-relay
    done
    if migrate latency light; then equal 'latency, skein' target light || true; fi
    sql replica 'START SLAVE'
    if [ "$(sql replica "SELECT MASTER_GTID_WAIT('$(gtid source)', 60)")" = 0 ]; then
        equal 'latency, replica' replica light || true
    else
        problem 'latency: the replica did not catch up'
    fi
    sql replica 'STOP SLAVE'
    stop target
    stop replica
    forget_pair
    show 'replica: median' latency.replica.p50 ms
    show 'replica: p99' latency.replica.p99 ms
    show 'skein: median' latency.skein.p50 ms
    show 'skein: p99' latency.skein.p99 ms
    show 'skein without a relay log: median' latency.direct.p50 ms
    show 'skein without a relay log: p99' latency.direct.p99 ms
    judge 'latency: median, relay log on / off' "$(ratio latency.skein.p50 latency.direct.p50)" '<=' 1.05
    judge 'latency: p99, relay log on / off' "$(ratio latency.skein.p99 latency.direct.p99)" '<=' 1.05
    judge 'latency: median, skein / replica' "$(ratio latency.skein.p50 latency.replica.p50)" '<=' 1.3
    judge 'latency: p99, skein / replica' "$(ratio latency.skein.p99 latency.replica.p99)" '<=' 2
}

# MARK: binlog

part_binlog() {
    local round bytes=0 first batch=0 idle user system
    clone base source
    start source
    sql source 'CREATE DATABASE light; CREATE TABLE light.beat (id INT PRIMARY KEY, at DATETIME(6));
        CREATE DATABASE noise; CREATE TABLE noise.rows (id INT PRIMARY KEY AUTO_INCREMENT, k INT,
            c CHAR(120), pad CHAR(60)); RESET MASTER'
    prepare_pair light || { forget_pair; return; }
    careless source on
    sql source 'FLUSH BINARY LOGS'
    first=$(sql source 'SHOW MASTER STATUS' | cut -f1)
    while [ "$bytes" -lt $((binlog_megabytes * 1000000)) ]; do
        sql source "INSERT INTO noise.rows (k, c, pad) SELECT seq, REPEAT(MD5(seq), 3),
            MD5(seq + $batch) FROM noise.seq_1_to_20000"
        batch=$((batch + 1))
        [ $((batch % 20)) != 0 ] || sql source 'TRUNCATE TABLE noise.rows'
        bytes=$(sql source 'SHOW BINARY LOGS' | awk -v first="$first" '$1 >= first { s += $2 } END { print s }')
    done
    careless source off
    # Memory where there is some, so that no disk is measured.
    raw=$(mktemp -d /dev/shm/skein-bench-XXXXXX 2> /dev/null || mktemp -d "$folder/raw-XXXXXX")
    # Reading alone; what a relay log adds is a part of its own.
    more=(--no-relay)
    for round in $(seq "$rounds"); do
        fresh_target
        if migrate binlog light; then
            idle=$used
            record binlog.skein.wall "$took"
            # Once more, with nothing to read, is what everything else costs.
            if migrate binlog light; then
                record binlog.skein "$(compute "($idle - $used) * 1e9 / $bytes")"
                record binlog.start "$used"
            fi
        fi
        stop target
        rm -f "$raw"/*
        warm_memory
        began=$(now)
        MYSQL_PWD=$SKEIN_SOURCE_PASSWORD run /usr/bin/time -q -o "$folder/time" -f '%U %S' mariadb-binlog \
            --no-defaults --read-from-remote-server --raw --to-last-log --host=127.0.0.1 \
            --port="${port[source]}" --user=skein --result-file="$raw/" "$first" || problem 'mariadb-binlog'
        took=$(compute "$(now) - $began")
        read -r user system < "$folder/time"
        record binlog.raw "$(compute "($user + $system) * 1e9 / $bytes")"
        record binlog.raw.wall "$took"
    done
    more=()
    rm -rf "$raw"
    forget_pair
    echo "  $((bytes / 1000000)) MB of rows of tables that nobody migrates"
    show 'skein: CPU a GB, less what a start costs' binlog.skein s
    show '  CPU of a start' binlog.start s
    show '  wall, start and end included' binlog.skein.wall s
    show 'mariadb-binlog --raw: CPU a GB' binlog.raw s
    show '  wall' binlog.raw.wall s
    judge 'binlog: CPU of reading, skein / mariadb-binlog' "$(ratio binlog.skein binlog.raw)" '<=' 1
    echo '  CPU of reading with decoding of rows: not measured (skein has no command for it)'
}

# MARK: memory

# $1: name; $2: rows of each table
memory_case() {
    fill "$tables" "$2"
    clone base target
    start target
    rm -rf "$folder/state"
    if migrate "$1" sbtest; then equal "memory, $1" target sbtest || true; fi
    stop target
    stop source
}

part_memory() {
    local part
    grep -q '^memory.copy ' "$folder/figures" || memory_case copy "$rows"
    [ "${BENCH_FULL:-0}" != 1 ] || memory_case copy-tenfold $((rows * 10))
    while read -r part; do
        show "peak resident memory of skein: ${part#memory.}" "$part" MiB
        judge "memory: ${part#memory.}" "$(highest "$part")" '<' 256 MiB
    done < <(awk '/^memory\./ { print $1 }' "$folder/figures" | sort -u)
}

# MARK: many tables

part_tables() {
    local round number
    clone base source
    start source
    careless source on
    {
        echo 'CREATE DATABASE many; CREATE DATABASE light; USE many;'
        for number in $(seq "$many_tables"); do
            echo "CREATE TABLE t$number (id INT PRIMARY KEY, a VARCHAR(40), b DECIMAL(10,2), KEY a (a));"
        done
    } | sql source
    settle_source
    clone base target
    start target
    careless target on
    rm -rf "$folder/state"
    if migrate tables many; then
        record tables.first "$took"
        careless target off
        for round in $(seq "$rounds"); do
            sql source "INSERT INTO many.t1 VALUES ($round, 'x', 1)"
            "$folder/probe" wait "$folder/target/socket" 120 2000 \
                "SELECT 1 FROM many.t1 WHERE id = $round" > "$folder/marks" &
            local watcher=$!
            jobs+=("$watcher")
            if migrate tables many; then
                wait "$watcher" || true
                record tables.start "$(compute "$(cat "$folder/marks") - $began")"
                record tables.cpu "$used"
            else
                kill "$watcher" 2> /dev/null || true
            fi
            unset 'jobs[-1]'
        done
    fi
    if [ -n "$(median tables.start)" ]; then equal "$many_tables tables" target many || true; fi
    stop target
    stop source
    show "first migration of $many_tables empty tables" tables.first s
    show 'a start: until the first change is visible' tables.start s
    show '  CPU of skein' tables.cpu s
    judge "tables: following $many_tables tables starts within" "$(median tables.start)" '<=' 10 s
}
