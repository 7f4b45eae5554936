# shellcheck shell=bash
# The part `relay`: what a relay log costs. Read by scripts/bench.

# Memory for files that was in use a moment ago: on a virtual machine, memory that its host has to give
# first costs several times what the copying does, and whoever comes first pays it.
warm_memory() {
    head -c "$bytes" /dev/zero > "$raw/warm"
    rm "$raw/warm"
}

# A relay log or readers alone. $1: key; further: arguments of `skein relay pull`
pull() {
    local key=$1 line
    shift
    rm -rf "$raw/log"
    warm_memory
    line=$("$skein" relay pull "$raw/log" --source "mysql://skein@127.0.0.1:${port[source]}?tls=disabled" \
        --from "$first" "$@") || { problem "relay: pull $*"; return 1; }
    record "$key" "$(echo "$line" | awk -v bytes="$bytes" '{ print $2 * 1e9 / bytes }')"
    record "$key.wall" "$(echo "$line" | awk '{ print $4 }')"
}

# Reads the log in $raw/log over gRPC from a process that serves it.
remote() {
    local at server line before source="mysql://skein@127.0.0.1:${port[source]}?tls=disabled"
    at=127.0.0.1:$(free_port)
    "${attended[@]}" "$skein" relay pull "$raw/log" --source "$source" --from "$first" \
        --serve "$at" > /dev/null 2> "$folder/serve.err" < /dev/null &
    server=$!
    jobs+=("$server")
    for _ in $(seq 200); do
        (: < "/dev/tcp/${at%:*}/${at#*:}") 2> /dev/null && break
        sleep 0.1
    done
    before=$(cpu "$server")
    if line=$("$skein" relay pull "$raw/none" --source "$source" --from "$first" --peer "$at" --readers 1); then
        record relay.remote "$(echo "$line" | awk -v bytes="$bytes" '{ print bytes / 1e6 / $4 }')"
        record relay.remote.cpu "$(echo "$line" | awk -v bytes="$bytes" '{ print $2 * 1e9 / bytes }')"
        record relay.remote.server "$(compute "($(cpu "$server") - $before) * 1e9 / $bytes")"
    else
        problem "relay: remote: $(tail -n 1 "$folder/serve.err")"
    fi
    kill "$server" 2> /dev/null || true
    wait "$server" || true
    unset 'jobs[-1]'
}

# The highest number of binlog connections of the source while a command runs.
watched() {
    local sampler id status=0
    # A server notices that a reader has gone when it next has something to send.
    for id in $(sql source "SELECT id FROM information_schema.processlist
        WHERE command LIKE 'Binlog Dump%'"); do
        sql source "KILL $id" > /dev/null 2>&1 || true
    done
    (while :; do
        sql source "SELECT COUNT(*) FROM information_schema.processlist
            WHERE command LIKE 'Binlog Dump%'"
        sleep 0.1
    done) > "$folder/connections" 2> /dev/null &
    sampler=$!
    jobs+=("$sampler")
    "$@" || status=$?
    kill "$sampler" 2> /dev/null || true
    wait "$sampler" || true
    unset 'jobs[-1]'
    record relay.connections "$(sort -n "$folder/connections" | tail -1)"
    return $status
}

# CPU seconds of the source since it began.
source_cpu() { cpu "${server[source]}"; }

# What it costs an insert to go through a relay log: a target that follows with one and without,
# turn by turn, while nothing else happens. The part `latency` measures the same beside a replica.
relay_latency() {
    local round next=1
    clone base source
    start source
    sql source 'CREATE DATABASE light; CREATE TABLE light.beat (id INT PRIMARY KEY, at DATETIME(6)); RESET MASTER'
    prepare_pair light || { forget_pair; return; }
    fresh_target
    for round in $(seq "$rounds"); do
        follow_light skein
        follow_light direct --no-relay
    done
    if migrate latency light; then equal 'relay: latency' target light || true; fi
    stop target
    forget_pair
    show 'an insert, with a relay log: median' latency.skein.p50 ms
    show '  p99' latency.skein.p99 ms
    show '  without one: median' latency.direct.p50 ms
    show '  p99' latency.direct.p99 ms
    judge 'relay: latency, median, relay log on / off' "$(ratio latency.skein.p50 latency.direct.p50)" '<=' 1.05
    judge 'relay: latency, p99, relay log on / off' "$(ratio latency.skein.p99 latency.direct.p99)" '<=' 1.05
}

part_relay() {
    local round bytes=0 first batch=0 user system before gtid milliseconds
    clone base source
    start source
    sql source 'CREATE DATABASE noise; CREATE TABLE noise.rows (id INT PRIMARY KEY AUTO_INCREMENT,
        k INT, c CHAR(120), pad CHAR(60)); RESET MASTER'
    careless source on
    first=$(sql source 'SHOW MASTER STATUS' | cut -f1)
    while [ "$bytes" -lt $((relay_megabytes * 1000000)) ]; do
        sql source "INSERT INTO noise.rows (k, c, pad) SELECT seq, REPEAT(MD5(seq), 3),
            MD5(seq + $batch) FROM noise.seq_1_to_20000"
        batch=$((batch + 1))
        [ $((batch % 20)) != 0 ] || sql source 'TRUNCATE TABLE noise.rows'
        bytes=$(sql source 'SHOW BINARY LOGS' | awk -v first="$first" '$1 >= first { s += $2 } END { print s }')
    done
    # Memory where there is some, so that no disk is measured.
    raw=$(mktemp -d /dev/shm/skein-bench-XXXXXX 2> /dev/null || mktemp -d "$folder/raw-XXXXXX")
    for round in $(seq "$rounds"); do
        pull relay.writer || break
        if [ "$round" = 1 ]; then
            # A transaction in the middle, looked for by a process that knows nothing yet.
            gtid=$(sql source "SELECT BINLOG_GTID_POS('$first', 4)")
            gtid=$("$skein" relay read "$raw/log" --output json --limit 2000000 |
                grep -o '"event":"GTID",.*"gtid":"[^"]*"' | sed 's/.*"gtid":"//; s/"//' |
                awk '{ v[NR] = $1 } END { print v[int(NR * 0.7) + 1] }')
            for _ in 1 2 3 4 5; do
                before=$(now)
                "$skein" relay read "$raw/log" --from "$gtid" --limit 1 > /dev/null || true
                milliseconds=$(compute "($(now) - $before) * 1000")
                record relay.find "$milliseconds"
                before=$(now)
                "$skein" relay read "$raw/log" --limit 1 > /dev/null || true
                record relay.open "$(compute "($(now) - $before) * 1000")"
            done
        fi
        remote
        rm -rf "$raw/log"
        warm_memory
        MYSQL_PWD=$SKEIN_SOURCE_PASSWORD run /usr/bin/time -q -o "$folder/time" -f '%U %S' mariadb-binlog \
            --no-defaults --read-from-remote-server --raw --to-last-log --host=127.0.0.1 \
            --port="${port[source]}" --user=skein --result-file="$raw/" "$first" || problem 'mariadb-binlog'
        read -r user system < "$folder/time"
        record relay.raw "$(compute "($user + $system) * 1e9 / $bytes")"
        rm -f "$raw"/bin.*
        before=$(source_cpu)
        pull relay.one --readers 1
        record relay.one.source "$(compute "$(source_cpu) - $before")"
        before=$(source_cpu)
        watched pull relay.ten --readers 10
        record relay.ten.source "$(compute "$(source_cpu) - $before")"
    done
    rm -rf "$raw"
    stop source
    echo "  $((bytes / 1000000)) MB"
    show 'the writer alone: CPU a GB' relay.writer s
    show '  wall' relay.writer.wall s
    show 'mariadb-binlog --raw: CPU a GB' relay.raw s
    show 'one reader: CPU a GB' relay.one s
    show 'ten readers: CPU a GB' relay.ten s
    show 'source, one reader: CPU' relay.one.source s
    show 'source, ten readers: CPU' relay.ten.source s
    show 'ten readers: connections to the source' relay.connections ''
    show 'a reader over gRPC on loopback' relay.remote MB/s
    show '  its CPU a GB' relay.remote.cpu s
    show '  CPU of the process that serves it, a GB' relay.remote.server s
    show 'a process that finds a GTID: wall' relay.find ms
    show '  that finds the first event' relay.open ms
    judge 'relay: CPU of the writer / mariadb-binlog' "$(ratio relay.writer relay.raw)" '<=' 1
    judge 'relay: CPU of ten readers / one' "$(ratio relay.ten relay.one)" '<=' 1.3
    judge "relay: the source's CPU, ten readers / one" "$(ratio relay.ten.source relay.one.source)" '<=' 1.15
    judge 'relay: connections to the source, ten readers' "$(highest relay.connections)" '<=' 1
    judge 'relay: a reader over gRPC' "$(median relay.remote)" '>=' 300 MB/s
    judge 'relay: finding a GTID' "$(compute "$(median relay.find) - $(median relay.open)")" '<=' 50 ms
    case " ${only//[,|]/ } " in
        *' latency '*) ;;
        *) relay_latency ;;
    esac
}
