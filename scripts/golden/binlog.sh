#!/bin/bash
# Makes the golden binlog files of the MySQLBinlog tests with running servers: for each scenario
# <family>-<name>.sql, the binlog files that it wrote and what SELECT says of its tables afterwards.
# The servers' settings: log-bin, server-id, binlog_format=ROW, character-set-server=utf8mb4, on MySQL
# gtid_mode=ON and enforce_gtid_consistency=ON. Run as a user who may read the
# servers' binlogs, which are wiped before each scenario: never on a server that matters.
#
# usage: binlog.sh mysql|mariadb SOCKET BINLOG_FOLDER [SCENARIO..]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../Tests/MySQLBinlogTests/Golden
family=$1 socket=$2 logs=$3
shift 3

sql() { mariadb -S "$socket" -uroot --default-character-set=utf8mb4 -N -B --raw "$@"; }

# One line per table (name, then column=type), one per row: texts in hexadecimal, or
# as ~length:crc32 where they are long; DOUBLE as it is, since only then it is not rounded.
expected() {
    local table
    for table in $(sql -e "SELECT table_name FROM information_schema.tables
            WHERE table_schema = 'golden' AND table_type <> 'VIEW' ORDER BY table_name"); do
        printf 'TABLE\t%s' "$table"
        sql -e "SELECT CONCAT('\t', column_name, '=', column_type) FROM information_schema.columns
            WHERE table_schema = 'golden' AND table_name = '$table' ORDER BY ordinal_position" |
            tr -d '\n'
        echo
        local list
        list=$(sql -e "SELECT IF(data_type = 'double', x, CONCAT('IF(LENGTH(', x, ') > 500, CONCAT(\'~\', LENGTH(', x, '), \':\', CRC32(',
                x, ')), HEX(', x, '))'))
            FROM (SELECT ordinal_position AS o, data_type, CASE
                WHEN data_type IN ('float') THEN CONCAT('CONCAT(\`', column_name, '\` + 0e0)')
                WHEN data_type IN ('enum', 'set') THEN CONCAT('CONCAT(CAST(\`', column_name, '\` AS UNSIGNED))')
                WHEN data_type = 'double' THEN CONCAT('\`', column_name, '\`')
                WHEN data_type = 'json' THEN CONCAT('CONVERT(\`', column_name, '\` USING utf8mb4)')
                WHEN data_type RLIKE '^(tiny|small|medium|big|)int$|decimal|date|time|year|bit|uuid|inet'
                    THEN CONCAT('CONCAT(\`', column_name, '\`)')
                ELSE CONCAT('\`', column_name, '\`') END AS x
            FROM information_schema.columns
            WHERE table_schema = 'golden' AND table_name = '$table') t ORDER BY o" |
            paste -sd,)
        sql golden -e "SET time_zone = '+00:00'; SELECT $list FROM \`$table\` ORDER BY id"
    done
}

scenario() {
    local name=$1 files file number=0 checksum=CRC32 reset='RESET MASTER'
    echo "$family-$name"
    rm -f "$out/$family-$name".*
    if [ "$name" = nochecksum ]; then checksum=NONE; fi
    if [ "$family" = mysql ]; then reset='RESET BINARY LOGS AND GTIDS'; fi
    sql -e "DROP DATABASE IF EXISTS golden; CREATE DATABASE golden CHARACTER SET utf8mb4;
        SET GLOBAL binlog_checksum = $checksum; $reset"
    sql golden < "$here/$family-$name.sql" > /dev/null
    sql -e 'FLUSH BINARY LOGS'
    files=$(sql -e 'SHOW BINARY LOGS' | cut -f1 | head -n -1)
    for file in $files; do
        number=$((number + 1))
        cat "$logs/$file" > "$out/$family-$name.$number.binlog"
    done
    expected > "$out/$family-$name.expected"
}

if [ $# = 0 ]; then
    for file in "$here/$family"-*.sql; do
        file=${file##*/"$family"-}
        set -- "$@" "${file%.sql}"
    done
fi
for name in "$@"; do scenario "$name"; done
