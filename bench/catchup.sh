# shellcheck shell=bash
# The parts `catchup` and `shapes`. Read by scripts/bench.

# $1: shape
fill_shape() {
    local table
    case $1 in
        wide)
            fill "$tables" $((rows / 8))
            careless source on
            for table in $(seq "$tables"); do
                sql source "ALTER TABLE sbtest.sbtest$table ALGORITHM=COPY,
                    ADD COLUMN wide VARCHAR(2000) NOT NULL DEFAULT (REPEAT(MD5(RAND()), 60))"
            done
            settle_source
            ;;
        unique)
            fill "$tables" "$rows"
            careless source on
            for table in $(seq "$tables"); do
                sql source "ALTER TABLE sbtest.sbtest$table ALGORITHM=COPY,
                    ADD COLUMN u BIGINT UNSIGNED NOT NULL DEFAULT (UUID_SHORT()), ADD UNIQUE KEY u (u)"
            done
            settle_source
            ;;
        keys)
            clone base source
            start source
            careless source on
            sql source << END
CREATE DATABASE sbtest;
USE sbtest;
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(60) NOT NULL, balance BIGINT NOT NULL);
CREATE TABLE orders (id INT PRIMARY KEY, customer INT NOT NULL, state VARCHAR(10) NOT NULL,
    total INT NOT NULL, KEY customer (customer),
    CONSTRAINT orders_customer FOREIGN KEY (customer) REFERENCES customers (id));
CREATE TABLE items (order_id INT, line INT, pieces INT NOT NULL, name VARCHAR(60) NOT NULL,
    PRIMARY KEY (order_id, line),
    CONSTRAINT items_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE);
INSERT INTO customers SELECT seq, CONCAT('customer ', seq), 0 FROM seq_1_to_$((rows / 4));
INSERT INTO orders SELECT seq, 1 + seq * 7919 % $((rows / 4)), 'old', seq FROM seq_1_to_$rows;
INSERT INTO items SELECT seq, 1, 1, 'thing' FROM seq_1_to_$rows;
END
            settle_source
            ;;
        *) fill "$tables" "$rows" ;;
    esac
}

write_backlog() {
    local count
    count=$(if [ "$1" = wide ]; then echo $((rows / 8)); else echo "$rows"; fi)
    if [ "$1" = keys ]; then
        local client writers=()
        for client in 0 1 2 3; do
            awk -v client=$client -v clients=4 -v transactions=$((transactions / 4)) \
                -v customers=$((rows / 4)) -v first=$((rows + 1)) -f bench/orders.awk |
                mariadb --no-defaults -S "$folder/source/socket" -uroot sbtest > /dev/null &
            writers+=($!)
        done
        jobs+=("${writers[@]}")
        for client in "${writers[@]}"; do wait "$client" || fail "writing orders"; done
        jobs=()
    else
        sysbench_ oltp_write_only --tables="$tables" --table-size="$count" --threads=8 --time=0 \
            --events="$transactions" --rand-type="$([ "$1" = uniform ] && echo uniform || echo special)" run
    fi
    sql source 'CREATE TABLE sbtest.finish (id INT PRIMARY KEY)'
}

# Watches, for server $1: the source beginning to send its binlog, and the backlog's last statement
# being there, a DDL statement, which nothing overtakes.
watch() {
    local since
    since=$(sql source 'SELECT CONNECTION_ID()')
    "$folder/probe" wait "$folder/source/socket" "$limit" 2000 "SELECT COUNT(*)
        FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' AND id > $since" \
        > "$folder/sending" &
    jobs+=($!)
    "$folder/probe" wait "$folder/$1/socket" "$limit" 4000 'SELECT COUNT(*) + 1 FROM sbtest.finish' \
        > "$folder/finished" &
    jobs+=($!)
}

# Ends the watching; the rate of $2 transactions is recorded as $1, where it is given.
unwatch() {
    if [ $# -gt 0 ]; then
        wait "${jobs[-1]}" && wait "${jobs[-2]}" && record "$1.rate" \
            "$(compute "$2 / ($(cat "$folder/finished") - $(cat "$folder/sending"))")"
    else
        kill "${jobs[-1]}" "${jobs[-2]}" 2> /dev/null || true
    fi
    unset 'jobs[-1]' 'jobs[-1]'
}

# $1: shape; $2: target of the ratio
catchup_case() {
    local shape=$1 round contender from to count bytes work_began work key
    fill_shape "$shape"
    prepare_pair sbtest || { forget_pair; judge "$shape: skein / best replica" '' '>=' "$2"; return; }
    from=$(gtid source)
    from=${from##*-}
    sql source 'FLUSH BINARY LOGS'
    write_backlog "$shape"
    to=$(gtid source)
    count=$((${to##*-} - ${from:-0}))
    bytes=$(sql source 'SHOW BINARY LOGS' | awk '{ s += $2 } END { print s }')
    echo "  $shape: a backlog of $count transactions, $((bytes / 1000000)) MB"
    for round in $(seq "$rounds"); do
        for contender in $replicas skein; do
            key=$shape.$contender
            if [ "$contender" = skein ]; then
                fresh_target
                watch target
                work_began=$(cpu "${server[target]}")
                if migrate "$shape" sbtest && work=$(cpu "${server[target]}") && equal "$shape, skein" target sbtest; then
                    unwatch "$key" "$count"
                    record "$key.wall" "$took"
                    record "$key.cpu" "$(compute "$used * 1e6 / $count")"
                    record "$key.work" "$(compute "($work - $work_began) * 1e6 / $count")"
                else
                    unwatch
                fi
                stop target
            else
                fresh_replica "$contender"
                watch replica
                work_began=$(cpu "${server[replica]}")
                began=$(now)
                sql replica 'START SLAVE'
                if [ "$(sql replica "SELECT MASTER_GTID_WAIT('$to', $limit)")" = 0 ] &&
                    took=$(compute "$(now) - $began") && work=$(cpu "${server[replica]}") &&
                    equal "$shape, replica with $contender threads" replica sbtest; then
                    unwatch "$key" "$count"
                    record "$key.wall" "$took"
                    record "$key.work" "$(compute "($work - $work_began) * 1e6 / $count")"
                else
                    problem "$shape: the replica with $contender threads failed"
                    sql replica 'SHOW SLAVE STATUS\G' | grep -E 'Last_.*Error:' >&2 || true
                    unwatch
                fi
                sql replica 'STOP SLAVE'
                stop replica
            fi
        done
    done
    forget_pair
    local best='' rate highest_rate=0 walls=''
    for contender in $replicas; do
        show "replica, $contender threads" "$shape.$contender.rate" 'txn/s'
        show '  wall' "$shape.$contender.wall" s
        show '  CPU of the replica for one transaction' "$shape.$contender.work" us
        rate=$(median "$shape.$contender.rate")
        if [ -n "$rate" ] && awk "BEGIN { exit !($rate > $highest_rate) }"; then
            best=$contender highest_rate=$rate
        fi
    done
    show 'skein' "$shape.skein.rate" 'txn/s'
    show '  wall, start to end of the process' "$shape.skein.wall" s
    show '  CPU of skein for one transaction' "$shape.skein.cpu" us
    show '  CPU of the target for one transaction' "$shape.skein.work" us
    [ -z "$best" ] || walls=$(ratio "$shape.$best.wall" "$shape.skein.wall")
    echo "  by wall time, start and end included: ${walls:0:5}"
    judge "$shape: skein / best replica (${best:-none} threads)" \
        "$([ -z "$best" ] || ratio "$shape.skein.rate" "$shape.$best.rate")" '>=' "$2"
}

part_catchup() { catchup_case backlog 4; }

part_shapes() {
    local shape
    for shape in $shapes; do
        catchup_case "$shape" 2
        load
    done
}
