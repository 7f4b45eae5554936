# shellcheck shell=bash
# Recording figures, and showing and judging them. Read by scripts/bench.

now() { echo "$EPOCHREALTIME"; }
compute() { awk "BEGIN { printf \"%.6g\", $1 }"; }
record() { echo "$1 $2" >> "$folder/figures"; }
of() { awk -v key="$1" '$1 == key { print $2 }' "$folder/figures" | sort -g; }
median() {
    of "$1" | awk '{ v[NR] = $1 }
        END { if (NR) printf "%.6g", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}
highest() { of "$1" | tail -1; }

# $1: label; $2: key; $3: unit; $4: factor
show() {
    of "$2" | awk -v label="$1" -v unit="$3" -v factor="${4:-1}" '{ v[NR] = $1 * factor }
        function text(x) { return sprintf(x >= 1000 ? "%.0f" : x >= 10 ? "%.1f" : "%.2f", x) }
        END {
            if (!NR) { printf "  %-46s %10s\n", label, "not measured"; exit }
            printf "  %-46s %10s %-6s (%s .. %s, %d runs)\n", label,
                text((v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2), unit, text(v[1]), text(v[NR]), NR
        }'
}

# $1: label; $2: value, or nothing; $3: <= or >=; $4: target; $5: unit
judge() {
    local verdict=missed text
    if [ -z "$2" ]; then
        verdict='not measured'
    elif awk "BEGIN { exit !($2 $3 $4) }"; then
        verdict=reached
    fi
    text=$(printf '%-52s %8s   target %s %s%s   %s' "$1" "$(printf '%.3g' "${2:-0}")" \
        "$3" "$4" "${5:+ $5}" "$verdict")
    [ -n "$2" ] || text=$(printf '%-52s %8s   target %s %s%s' "$1" '-' "$3" "$4" "${5:+ $5}")
    echo "  $bold$text$plain"
    echo "$text" >> "$folder/verdicts"
}

# The quotient of two medians, or nothing.
ratio() {
    local a b
    a=$(median "$1") b=$(median "$2")
    if [ -n "$a" ] && [ -n "$b" ]; then compute "$a / $b"; fi
}

load() { echo "  load average $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores"; }

# CPU seconds of a running process.
cpu() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.2f", ($12 + $13) / hz }' "/proc/$1/stat"; }
peak() { awk '/^VmHWM/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
