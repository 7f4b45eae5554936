# shellcheck shell=bash
# The part `rules`: what routes and filters cost. Read by scripts/bench; cluster.sh has the helpers.

# Starts a task, and waits until its copy is done and it is paused again. $1: name; standard input:
# the rest of its file, in DM's words
prepare_task() {
    {
        printf 'name: %s\ntask-mode: all\nmeta-schema: skein_meta\n' "$1"
        printf 'target-database: {host: 127.0.0.1, port: %s, user: skein, security: {}}\n' "${port[target]}"
        cat
    } > "$folder/$1.yaml"
    clone base target
    start target
    if ! ask task start "$folder/$1.yaml" > /dev/null; then
        problem "rules: $1: $(head -3 "$folder/ask.err" | tr '\n' ' ')"
        return 1
    fi
    until_ok shows "$1" '"unit":"Sync"' || return 1
    rest "$1" || return 1
    stop target
    rm -rf "${folder:?}/target.$1"
    mv "$folder/target" "$folder/target.$1"
}

shows() { ask task status "$1" --output json | tr -d ' \n' | grep -q "$2"; }
rest() { ask task pause "$1" > /dev/null && until_ok shows "$1" '"stage":"Paused"'; }

# Lets a task apply all that has come. $1: its name; $2: key; $3: statement that finds the end
run_task() {
    local before
    clone "target.$1" target
    start target
    warm target
    sync -f "$folder"
    before=$(cpu "${worker[w0]}")
    began=$(now)
    ask task resume "$1" > /dev/null
    if probe wait "$folder/target/socket" "$limit" 4000 "$3" > "$folder/finished"; then
        took=$(compute "$(cat "$folder/finished") - $began")
        used=$(compute "$(cpu "${worker[w0]}") - $before")
        record "rules.$2.wall" "$took"
        record "rules.$2.cpu" "$used"
        return
    fi
    problem "rules: $1 did not come to its end: $(ask task status "$1" --output json | tr -d '\n' | cut -c1-600)"
    return 1
}

end_task() {
    rest "$1" || true
    stop target
}

# Whether the schema $3 of the target is the source's sbtest, in the tables $4. $1: what is told
same_tables() {
    local table
    for table in $4; do
        if [ "$(sql source "CHECKSUM TABLE sbtest.$table EXTENDED" | cut -f2)" != \
            "$(sql "$2" "CHECKSUM TABLE $3.$table EXTENDED" | cut -f2)" ]; then
            problem "rules: $1: $table is NOT EQUAL to the source's"
            return 1
        fi
    done
}

part_rules() {
    local name round table all='' half='' count from to bytes=0 batch=0 first changed=0
    command -v etcd > /dev/null || { problem 'rules: no etcd: install etcd-server'; return; }
    local as_here=(setpriv --pdeathsig KILL) instance='mysql-instances:
  - {source-id: s, block-allow-list: list'
    listen[w0]=$(free_ports)
    export SKEIN_ENDPOINT=127.0.0.1:${listen[w0]}
    mkdir -p "$folder/workers"
    fill "$tables" $((rows / 4))
    sql source 'CREATE DATABASE light; CREATE TABLE light.noise (id INT PRIMARY KEY AUTO_INCREMENT, k INT,
        c CHAR(120), pad CHAR(60)); RESET MASTER'
    serve w0
    until_ok alive 1 || return 0
    printf 'source-id: s\nenable-relay: false\nfrom: {host: 127.0.0.1, port: %s, user: skein}\n' \
        "${port[source]}" > "$folder/source.yaml"
    ask source add "$folder/source.yaml" > /dev/null ||
        { problem "rules: $(head -3 "$folder/ask.err" | tr '\n' ' ')"; return; }
    for table in $(seq "$tables"); do
        all+=" sbtest$table"
        [ $((table * 2)) -gt "$tables" ] || half+=" sbtest$table"
    done

    # All of it; all of it through rules that match every table and change; half of the tables.
    prepare_task plain <<< "$instance}
block-allow-list: {list: {do-dbs: [sbtest]}}" || return 0
    {
        echo "$instance, route-rules: [$(for table in $all; do printf '%s, ' "$table"; done)rest], filter-rules: [all]}"
        echo 'block-allow-list: {list: {do-dbs: ["~^sbtest$"], do-tables: [{db-name: "sb*", tbl-name: "~^(sbtest[0-9]+|finish)$"}]}}'
        echo 'filters: {all: {schema-pattern: "sb*", table-pattern: "*", events: [all], action: Do}}'
        echo 'routes:'
        for table in $all; do
            echo "  $table: {schema-pattern: sbtest, table-pattern: $table, target-schema: routed, target-table: $table}"
        done
        echo '  rest: {schema-pattern: "sb*", target-schema: routed}'
    } | prepare_task routed || return 0
    {
        echo "$instance}"
        printf 'block-allow-list: {list: {do-dbs: [sbtest], do-tables: [{db-name: sbtest, tbl-name: finish}'
        for table in $half; do printf ', {db-name: sbtest, tbl-name: %s}' "$table"; done
        echo ']}}'
    } | prepare_task half || return 0

    from=$(gtid source)
    from=${from##*-}
    sysbench_ oltp_write_only --tables="$tables" --table-size=$((rows / 4)) --threads=8 --time=0 \
        --events="$transactions" --rand-type=uniform run
    sql source 'CREATE TABLE sbtest.finish (id INT PRIMARY KEY)'
    to=$(gtid source)
    count=$((${to##*-} - ${from:-0}))
    for round in $(seq "$rounds"); do
        for name in plain routed half; do
            local schema=sbtest which=$all
            [ $name != routed ] || schema=routed
            [ $name != half ] || which=$half
            if run_task $name $name "SELECT COUNT(*) + 1 FROM $schema.finish" &&
                same_tables $name target $schema "$which"; then
                record "rules.$name.rate" "$(compute "$count / $took")"
            fi
            end_task $name
        done
    done

    # An expression that leaves out every row: what it costs is at most what the whole costs, beyond
    # a filter that leaves out the events before anything of them is decoded.
    prepare_task dropped <<< "$instance, filter-rules: [none]}
block-allow-list: {list: {do-dbs: [light]}}
filters: {none: {schema-pattern: light, table-pattern: noise, events: [insert], action: Ignore}}" || return 0
    prepare_task expression <<< "$instance, expression-filters: [none]}
block-allow-list: {list: {do-dbs: [light]}}
expression-filter: {none: {schema: light, table: noise, insert-value-expr: k > 0}}" || return 0
    careless source on
    sql source 'FLUSH BINARY LOGS'
    first=$(sql source 'SHOW MASTER STATUS' | cut -f1)
    while [ "$bytes" -lt $((binlog_megabytes * 1000000)) ]; do
        sql source "INSERT INTO light.noise (k, c, pad) SELECT seq, REPEAT(MD5(seq), 3),
            MD5(seq + $batch) FROM light.seq_1_to_20000"
        batch=$((batch + 1))
        changed=$((changed + 20000))
        [ $((batch % 20)) != 0 ] || sql source 'TRUNCATE TABLE light.noise'
        bytes=$(sql source 'SHOW BINARY LOGS' | awk -v first="$first" '$1 >= first { s += $2 } END { print s }')
    done
    sql source 'CREATE TABLE light.finish (id INT PRIMARY KEY)'
    for round in $(seq "$rounds"); do
        for name in dropped expression; do
            run_task $name $name 'SELECT COUNT(*) + 1 FROM light.finish' || true
            end_task $name
        done
    done
    kill -KILL "${worker[w0]}" 2> /dev/null || true
    wait "${worker[w0]}" 2> /dev/null || true
    stop source
    # The next part begins a cluster of its own.
    rm -rf "$folder"/target.* "$folder/workers"

    echo "  $count transactions; $changed rows, $((bytes / 1000000)) MB, for the expression"
    show 'without rules' rules.plain.rate 'txn/s'
    show '  CPU of the worker for one transaction' rules.plain.cpu us "$(compute "1e6 / $count")"
    show 'routes and filters that match everything' rules.routed.rate 'txn/s'
    show '  CPU of the worker for one transaction' rules.routed.cpu us "$(compute "1e6 / $count")"
    show 'half of the tables' rules.half.rate 'txn/s'
    show 'rows that an event filter leaves out: CPU a row' rules.dropped.cpu ns "$(compute "1e9 / $changed")"
    show 'rows that an expression leaves out: CPU a row' rules.expression.cpu ns "$(compute "1e9 / $changed")"
    judge 'rules: rate, routes and filters / none' "$(ratio rules.routed.rate rules.plain.rate)" '>=' 0.95
    judge 'rules: rate, half of the tables / all' "$(ratio rules.half.rate rules.plain.rate)" '>=' 1
    judge 'rules: an expression, decoding included, a row' \
        "$(compute "($(median rules.expression.cpu) - $(median rules.dropped.cpu)) * 1e9 / $changed")" '<=' 200 ns
}
