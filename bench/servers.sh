# shellcheck shell=bash
# Starting, filling, cloning and comparing servers. Read by scripts/bench.

# MARK: servers

free_port() {
    local port
    while :; do
        port=$((15000 + (RANDOM * 32768 + RANDOM) % 17000))
        (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null || { echo $port; return; }
    done
}

# $1: name; its data are in the folder of that name. Further: options.
start() {
    local name=$1
    shift
    rm -f "$folder/$name/socket"
    "${as[@]}" mariadbd --no-defaults --datadir="$folder/$name/data" \
        --socket="$folder/$name/socket" --pid-file="$folder/$name/pid" \
        --log-error="$folder/$name/log" --port="${port[$name]}" --bind-address=127.0.0.1 \
        --skip-name-resolve --server-id="${port[$name]}" --character-set-server=utf8mb4 \
        --log-bin=bin --binlog-format=ROW --gtid-strict-mode=ON --log-slave-updates=ON \
        --sync-binlog=1 --innodb-flush-log-at-trx-commit=1 --local-infile=ON \
        --max-allowed-packet=64M --performance-schema=OFF --table-open-cache=4000 \
        --innodb-buffer-pool-size="${BENCH_POOL:-1G}" --innodb-log-file-size=512M \
        --innodb-buffer-pool-dump-at-shutdown=OFF --innodb-buffer-pool-load-at-startup=OFF \
        --skip-slave-start "$@" > /dev/null 2>&1 < /dev/null &
    server["$name"]=$!
    for _ in $(seq 600); do
        sql "$name" 'SELECT 1' > /dev/null 2>&1 && return
        kill -0 "${server[$name]}" 2> /dev/null || break
        sleep 0.1
    done
    tail -5 "$folder/$name/log" >&2
    fail "the server \"$name\" did not start"
}

stop() {
    [ -n "${server[$1]:-}" ] || return 0
    kill "${server[$1]}"
    wait "${server[$1]}" || true
    unset "server[$1]"
}

# Gives $2 the data of $1, a server that does not run.
clone() {
    rm -rf "${folder:?}/$2"
    owned "$folder/$2"
    cp -a --sparse=always "$folder/$1/data" "$folder/$2/data"
    # What was written is on its way to the disk: let it arrive before something is measured.
    sync -f "$folder"
}

# $1: server; $2: statements, or standard input
sql() {
    local client=(mariadb --no-defaults -S "$folder/$1/socket" -uroot -BN)
    if [ $# -ge 2 ]; then "${client[@]}" -e "$2"; else "${client[@]}"; fi
}

gtid() { sql "$1" 'SELECT @@gtid_binlog_pos'; }

# Without waiting for the disk at each commit, for what is not measured. $2: on or off
careless() {
    local value=1
    [ "$2" = off ] || value=0
    sql "$1" "SET GLOBAL sync_binlog=$value, GLOBAL innodb_flush_log_at_trx_commit=$value"
}

# Reads every index once, so that runs do not differ by what is in memory.
warm() {
    sql "$1" "SELECT CONCAT('SELECT COUNT(\`', column_name, '\`) FROM \`', table_schema, '\`.\`',
            table_name, '\` FORCE INDEX (\`', index_name, '\`);')
        FROM information_schema.statistics
        WHERE seq_in_index = 1 AND table_schema IN ('sbtest', 'orders', 'light')" > "$folder/warm.sql"
    sql "$1" < "$folder/warm.sql" > /dev/null
}

# The checksums of all tables of the schema $2.
checksums() {
    local list
    list=$(sql "$1" "SET SESSION group_concat_max_len = 1000000;
        SELECT GROUP_CONCAT(table_schema, '.', table_name ORDER BY table_name)
        FROM information_schema.tables
        WHERE table_schema = '$2' AND table_type = 'BASE TABLE'") || return 1
    sql "$1" "CHECKSUM TABLE $list EXTENDED" | sort
}

# Whether the server $2 holds what the source holds, in the schema $3. $1: what is told otherwise
equal() {
    if ! checksums source "$3" > "$folder/source.sums" || ! checksums "$2" "$3" > "$folder/$2.sums"; then
        problem "$1: not compared"
        return 1
    fi
    if ! [ -s "$folder/source.sums" ] || ! cmp -s "$folder/source.sums" "$folder/$2.sums"; then
        problem "$1: NOT EQUAL to the source"
        diff "$folder/source.sums" "$folder/$2.sums" | head -5 >&2 || true
        return 1
    fi
}

# MARK: filling

sysbench_() {
    local script=$1
    shift
    run sysbench "$script" --db-driver=mysql --mysql-socket="$folder/source/socket" --mysql-user=root \
        --mysql-db=sbtest "$@" > "$folder/sysbench.log" 2>&1 || {
        tail -n 5 "$folder/sysbench.log" >&2
        fail "sysbench"
    }
}

# A source with $1 sysbench tables of $2 rows.
fill() {
    clone base source
    start source
    careless source on
    sql source 'CREATE DATABASE sbtest'
    sysbench_ oltp_write_only --tables="$1" --table-size="$2" --threads="$1" prepare
    settle_source
}

settle_source() {
    careless source off
    sql source 'RESET MASTER'
    sync -f "$folder"
}
