# shellcheck shell=bash
# The part `cluster`: how long nobody writes when a worker is killed or leaves, what an idle worker
# costs, and placement. Read by scripts/bench.

declare -A worker=() listen=()

# The first of four free ports in a row.
free_ports() {
    local port n
    while :; do
        port=$(free_port)
        for n in 1 2 3; do
            (: < "/dev/tcp/127.0.0.1/$((port + n))") 2> /dev/null && continue 2
        done
        echo "$port"
        return
    done
}

# $1: its name; further: flags
serve() {
    local name=$1
    shift
    "${as_here[@]}" "$skein" serve --name "$name" --data-dir "$folder/workers/$name" \
        --listen "127.0.0.1:${listen[$name]}" --key-file "$folder/workers/key" "$@" \
        > "$folder/$name.log" 2>&1 < /dev/null &
    worker["$name"]=$!
    jobs+=("$!")
}

# Asks whichever worker answers.
ask() { "$skein" "$@" 2> "$folder/ask.err"; }

# Tries a command until it succeeds.
until_ok() {
    local _
    for _ in $(seq 600); do
        "$@" > /dev/null 2>&1 && return
        sleep 0.1
    done
    problem "cluster: it did not come: $*"
    return 1
}

alive() { [ "$(ask worker list --output json | grep -o '"state":"alive"' | wc -l)" = "$1" ]; }
owner() { ask source show s --output json | grep -o '"worker":"[^"]*"' | cut -d'"' -f4; }

# Whether a worker's member of the store leads the store; its metrics say so.
leads_store() {
    local line
    exec 8<> "/dev/tcp/127.0.0.1/$((listen[$1] + 1))" || return 1
    printf 'GET /metrics HTTP/1.0\r\n\r\n' >&8
    line=$(grep '^etcd_server_is_leader ' <&8 | tr -d '\r')
    exec 8<&-
    [ "${line##* }" = 1 ]
}

store_leader() {
    local name
    for name in w0 w1 w2; do leads_store "$name" 2> /dev/null && { echo "$name"; return; }; done
    return 1
}

voting() {
    [ "$(ask cluster status --output json | grep -o '"is_learner":false' | wc -l)" = 3 ] &&
        store_leader > /dev/null
}

# The newest beat on the target, over the connection that stays open.
beat() {
    echo 'SELECT IFNULL(MAX(id), 0) FROM light.beats; COMMIT;' >&"${eyes[1]}"
    read -r newest <&"${eyes[0]}"
}

# Waits until the target shows a beat above $1; its time is in `seen`.
next_beat() {
    local until=$((SECONDS + 30))
    while [ $SECONDS -lt $until ]; do
        beat
        [ "$newest" -le "$1" ] || { seen=$EPOCHREALTIME; return; }
        sleep 0.002
    done
    problem "cluster: no more beats: $(ask task status t --output json | tr -d '\n' | cut -c1-600)"
    return 1
}

# Moves the source: to the worker with the store's leader, or away from it. $1: with or without
place_owner() {
    local leads name
    leads=$(store_leader) || return 1
    for name in w0 w1 w2; do
        if [ "$1" = with ] && [ "$name" = "$leads" ] || [ "$1" = without ] && [ "$name" != "$leads" ]; then
            if [ "$(owner)" = "$name" ]; then break; fi
            ask source transfer s --worker "$name" > /dev/null || return 1
            break
        fi
    done
    sleep 1
    beat
    next_beat "$newest"
}

# Seconds from the end of the source's worker to the first beat that comes after. $1: key; $2: signal
failover() {
    local name before last
    name=$(owner)
    # Those that watch it have to have seen it.
    sleep 2
    before=$EPOCHREALTIME
    kill -s "$2" "${worker[$name]}"
    if [ "$2" = KILL ]; then
        wait "${worker[$name]}" 2> /dev/null || true
        # What it had sent may still be committed.
        sleep 0.02
        beat
        next_beat "$newest" || return 1
        record "$1" "$(compute "$seen - $before")"
    else
        # The longest time without a beat until it has gone.
        last=$before
        local longest=0 gap
        while kill -0 "${worker[$name]}" 2> /dev/null; do
            beat
            next_beat "$newest" || return 1
            gap=$(compute "$seen - $last")
            longest=$(compute "(($gap > $longest) ? $gap : $longest)")
            last=$seen
        done
        wait "${worker[$name]}" 2> /dev/null || true
        record "$1" "$longest"
    fi
    serve "$name"
    until_ok alive 3 && until_ok voting
}

# What workers cost that do nothing: CPU as a part of a core, memory in MiB.
idle() {
    local name pid child seconds=${BENCH_IDLE_SECONDS:-20}
    declare -A before=() store=()
    for name in w0 w1 w2; do
        pid=${worker[$name]}
        child=$(pgrep -P "$pid" -x etcd)
        store["$name"]=$child
        before["$name"]="$(cpu "$pid") $(cpu "$child")"
    done
    sleep "$seconds"
    for name in w0 w1 w2; do
        pid=${worker[$name]}
        child=${store[$name]}
        set -- ${before[$name]}
        record cluster.idle "$(compute "($(cpu "$pid") - $1) / $seconds")"
        record cluster.idle.store "$(compute "($(cpu "$child") - $2) / $seconds")"
        record cluster.memory "$(resident "$pid")"
        record cluster.memory.store "$(resident "$child")"
    done
}

resident() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }

# $1: key; $2: how many of a hundred are not above it
percentile() {
    of "$1" | awk -v part="$2" '{ v[NR] = $1 } END { if (NR) print v[int((NR * part + 99) / 100)] }'
}

# A thousand sources on three workers whose engines are played.
rehearse() {
    local ports=() word value
    for word in 1 2 3; do ports+=(--port "$(free_ports)"); done
    timeout 300 "${as_here[@]}" "$skein" cluster rehearse --folder "$folder/rehearsal" "${ports[@]}" \
        > "$folder/rehearsal.out" 2> "$folder/rehearsal.err" ||
        { problem "cluster: the rehearsal: $(tail -1 "$folder/rehearsal.err")"; return; }
    while read -r word value; do record "rehearsal.$word" "$value"; done < "$folder/rehearsal.out"
}

part_cluster() {
    local name round newest seen eyes writer
    command -v etcd > /dev/null || { problem 'cluster: no etcd: install etcd-server'; return; }
    local as_here=(setpriv --pdeathsig KILL)
    for name in w0 w1 w2; do listen["$name"]=$(free_ports); done
    SKEIN_ENDPOINT=$(printf ',127.0.0.1:%s' "${listen[@]}")
    export SKEIN_ENDPOINT=${SKEIN_ENDPOINT#,}
    mkdir -p "$folder/workers"
    clone base source
    start source
    clone base target
    start target
    sql source 'CREATE DATABASE light; CREATE TABLE light.beats (id INT PRIMARY KEY, at TIMESTAMP(6))'
    serve w0
    until_ok alive 1 || return 0
    serve w1 --join "127.0.0.1:${listen[w0]}"
    serve w2 --join "127.0.0.1:${listen[w0]}"
    until_ok alive 3 && until_ok voting || return 0
    idle

    printf 'source-id: s\nsource: {url: "mysql://skein@127.0.0.1:%s", tls: disabled}\n' \
        "${port[source]}" > "$folder/source.yaml"
    printf 'name: t\ntarget: {url: "mysql://skein@127.0.0.1:%s", tls: disabled}\nsources: [s]\ntables: ["light.*"]\n' \
        "${port[target]}" > "$folder/task.yaml"
    ask source add "$folder/source.yaml" > /dev/null &&
        ask task start "$folder/task.yaml" > /dev/null ||
        { problem "cluster: $(head -1 "$folder/ask.err")"; return; }
    awk 'BEGIN { for (n = 1; ; n++) { print "INSERT INTO light.beats VALUES (" n ", NOW(6)); DO SLEEP(0.004);"; fflush() } }' |
        mariadb --no-defaults -S "$folder/source/socket" -uroot > /dev/null 2>&1 &
    writer=$!
    jobs+=("$writer")
    until_ok sql target 'SELECT 1 FROM light.beats LIMIT 1' || return 0
    coproc EYES { mariadb --no-defaults -S "$folder/target/socket" -uroot -BN --unbuffered; }
    eyes=("${EYES[@]}")
    beat
    next_beat "$newest" || return 0

    for round in $(seq "${BENCH_FAILOVERS:-5}"); do
        place_owner without && failover cluster.killed KILL || break
        place_owner with && failover cluster.killed.leader KILL || break
        place_owner without && failover cluster.left TERM || break
    done
    kill "$writer" 2> /dev/null || true
    for name in w0 w1 w2; do kill -KILL "${worker[$name]}" 2> /dev/null || true; done
    stop source
    stop target
    "$skein" cluster place --workers 1000 --sources 10000 > "$folder/place" &&
        while read -r newest; do record cluster.place "$newest"; done < "$folder/place"

    rehearse
    show 'kill -9 of a worker to its source applied elsewhere' cluster.killed s
    show "  when it ran the store's leader, too" cluster.killed.leader s
    show 'a worker that leaves: longest pause' cluster.left s
    show 'placing 10,000 sources on 1,000 workers' cluster.place ms
    show '1,000 sources, played engines: status of all' rehearsal.status ms
    show '  a request to pause, until it is at the engines' rehearsal.change ms
    show 'an idle worker: CPU' cluster.idle % 100
    show '  memory' cluster.memory MiB
    show '  its etcd: CPU' cluster.idle.store % 100
    show '  memory' cluster.memory.store MiB
    judge 'cluster: kill -9 to the first transaction' "$(median cluster.killed)" '<=' 2 s
    judge "cluster: kill -9, the store's leader, too" "$(median cluster.killed.leader)" '<=' 3 s
    judge 'cluster: a clean stop' "$(median cluster.left)" '<=' 0.5 s
    judge 'cluster: placing 10,000 sources' "$(median cluster.place)" '<=' 100 ms
    judge 'cluster: status of 1,000 sources, the slowest' "$(highest rehearsal.status)" '<=' 1000 ms
    judge 'cluster: a change of 1,000 sources, p99' "$(percentile rehearsal.change 99)" '<=' 200 ms
    judge 'cluster: CPU of an idle worker' "$(compute "$(median cluster.idle) * 100")" '<=' 1 %
    judge 'cluster: memory of an idle worker' "$(median cluster.memory)" '<=' 150 MiB
}
