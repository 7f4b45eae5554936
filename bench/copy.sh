# shellcheck shell=bash
# The part `copy`. Read by scripts/bench.

# The tables without their secondary keys, from files, two at a time; then the keys, likewise.
# $1: tables; $2: files of each table
load_data() {
    local table file turn=0 lists=('' '') keys=('' '')
    sql target 'CREATE DATABASE sbtest'
    for table in $(seq "$1"); do
        sql target "CREATE TABLE sbtest.sbtest$table (
            id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '',
            pad CHAR(60) NOT NULL DEFAULT '', PRIMARY KEY (id)) ENGINE=InnoDB"
        for file in $(seq "$2"); do
            lists[turn]+="LOAD DATA INFILE '$folder/files/$table.$file' INTO TABLE sbtest.sbtest$table;"
            turn=$((1 - turn))
        done
        keys[table % 2]+="ALTER TABLE sbtest.sbtest$table ADD KEY k_$table (k);"
    done
    local one
    for one in lists keys; do
        declare -n pair=$one
        sql target "${pair[0]:-DO 1}" &
        jobs+=($!)
        sql target "${pair[1]:-DO 1}" || return 1
        wait "${jobs[-1]}" || return 1
        unset 'jobs[-1]'
    done
}

dump_and_load() {
    rm -rf "$folder/dump"
    run mydumper -S "$folder/source/socket" -u root -B sbtest -t "$threads" -o "$folder/dump" \
        ${1:+--rows "$1"} > "$folder/mydumper.log" 2>&1 &&
        run myloader -S "$folder/target/socket" -u root -t "$threads" -d "$folder/dump" \
            --enable-binlog > "$folder/myloader.log" 2>&1
}

# $1: name; $2: tables; $3: rows of each; $4: files of each for LOAD DATA; $5: rows of mydumper's
# chunks, or nothing
copy_case() {
    local round key work_began work watcher keys
    fill "$2" "$3"
    owned "$folder/files"
    local table file
    for table in $(seq "$2"); do
        for file in $(seq "$4"); do
            sql source "SELECT * FROM sbtest.sbtest$table
                WHERE id > $(($3 * (file - 1) / $4)) AND id <= $(($3 * file / $4))
                INTO OUTFILE '$folder/files/$table.$file'"
        done
    done
    keys="SELECT COUNT(*) >= $2 FROM information_schema.statistics
        WHERE table_schema = 'sbtest' AND index_name LIKE 'k\\_%'"
    for round in $(seq "$rounds"); do
        for key in skein dump load; do
            clone base target
            start target
            work_began=$(cpu "${server[target]}")
            case $key in
                skein)
                    rm -rf "$folder/state"
                    "$folder/probe" wait "$folder/target/socket" "$limit" 20000 "$keys" \
                        > "$folder/copied" &
                    watcher=$!
                    jobs+=("$watcher")
                    if migrate copy sbtest; then
                        wait "$watcher" || true
                        record "$1.skein.copy" "$(compute "$(cat "$folder/copied") - $began")"
                        record "$1.skein.cpu" "$used"
                    else
                        kill "$watcher" 2> /dev/null || true
                        took=''
                    fi
                    unset 'jobs[-1]'
                    ;;
                *)
                    began=$(now)
                    if [ $key = dump ]; then dump_and_load "${5:-}"; else load_data "$2" "$4"; fi ||
                        problem "$1: $key failed"
                    took=$(compute "$(now) - $began")
                    ;;
            esac
            work=$(compute "$(cpu "${server[target]}") - $work_began")
            if [ -n "$took" ] && equal "$1, $key" target sbtest; then
                record "$1.$key" "$took"
                record "$1.$key.work" "$work"
                record "$1.$key.cores" "$(compute "$work / $took")"
            fi
            stop target
        done
    done
    stop source
    rm -rf "$folder/files" "$folder/dump" "$folder/target"
    local what="$2 x $3 rows"
    echo "  copy of $what"
    show 'skein migrate --until caught-up' "$1.skein" s
    show '  until rows and secondary indexes are there' "$1.skein.copy" s
    show '  CPU of skein' "$1.skein.cpu" s
    show "mydumper + myloader, $threads threads" "$1.dump" s
    show 'LOAD DATA INFILE, two at a time, then indexes' "$1.load" s
    show 'CPU of the target: skein' "$1.skein.work" s
    show 'CPU of the target: myloader' "$1.dump.work" s
    show 'CPU of the target: LOAD DATA' "$1.load.work" s
    show 'cores of the target used: skein' "$1.skein.cores" ''
    show 'cores of the target used: LOAD DATA' "$1.load.cores" ''
    judge "$1: skein / (mydumper + myloader)" "$(ratio "$1.skein" "$1.dump")" '<=' 0.33
    judge "$1: skein / LOAD DATA" "$(ratio "$1.skein" "$1.load")" '<=' 1.1
    # The rest is the start, the pre-checks and the proof of having caught up.
    echo "  without start and end: $(ratio "$1.skein.copy" "$1.load" | cut -c1-5) of LOAD DATA"
}

part_copy() {
    copy_case copy "$tables" "$rows" 1
    copy_case one-table 1 $((rows * tables)) 2 $((rows * tables / threads / 2 + 1))
    judge 'one-table: cores of the target used by skein' "$(median one-table.skein.cores)" '>=' 1.2
}
