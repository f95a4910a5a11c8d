#!/usr/bin/env bash
# Measures `logtally serve` beside PostgreSQL serving the same rows from a table, both asked by psql on this machine:
# the time to the first row of a small query, rows per second of a large answer, and the memory under load.
#
#   cargo build --release --locked --features serve
#   bash benches/serve.sh [ROWS]            needs psql, and PostgreSQL 15 for the comparison (apt-get install postgresql-15)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly rows="${1:-2000000}"
readonly program="${LOGTALLY:-${CARGO_TARGET_DIR:-target}/release/logtally}"
postgres="${POSTGRES_BIN:-$(echo /usr/lib/postgresql/*/bin | awk '{print $NF}')}"
readonly postgres
scratch=$(mktemp -d)
readonly scratch
server=""

finish() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    [[ ! -e $scratch/data/postmaster.pid ]] || as_user "$postgres/pg_ctl" -s -D "$scratch/data" stop -m fast || true
    rm -rf "$scratch"
}
trap finish EXIT

# PostgreSQL does not run as root.
as_user() {
    if ((EUID == 0)); then
        setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
    else
        "$@"
    fi
}

seconds() {
    local begun=$EPOCHREALTIME
    "$@" >/dev/null
    awk -v from="$begun" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.3f", to - from }'
}

best() {
    local time least=""
    for _ in 1 2 3; do
        time=$(seconds "$@")
        if [[ -z $least ]] || awk -v a="$time" -v b="$least" 'BEGIN { exit !(a < b) }'; then
            least=$time
        fi
    done
    printf '%s' "$least"
}

memory() {
    awk '/VmRSS/ { printf "%.0f MiB", $2 / 1024 }' "/proc/$server/status"
}

mkdir "$scratch/files"
python3 - "$scratch/files/0001/web-1" "$rows" <<'PY'
import gzip, os, sys
folder, rows = sys.argv[1], int(sys.argv[2])
os.makedirs(folder)
with gzip.open(f"{folder}/000000.gz", "wt", compresslevel=1) as out:
    for n in range(rows):
        second = n % 86400
        out.write(f"2026-11-21T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{n % 1000:03}Z request {n} of a customer, answered\n")
PY
"$program" serve "$scratch/files" --listen 127.0.0.1:0 2>"$scratch/log" &
server=$!
until grep -q "listening on" "$scratch/log"; do sleep 0.05; done
port=$(sed -n 's/.*listening on 127.0.0.1:\([0-9]*\).*/\1/p' "$scratch/log")
ask=(psql -XAtq -h 127.0.0.1 -p "$port" -U bench -d logs)
readonly large="COPY (SELECT timestamp, log_stream, message FROM logs) TO STDOUT"
printf 'logtally: memory at the start %s\n' "$(memory)"
"${ask[@]}" -c "SELECT 1" >/dev/null
printf 'logtally: first row of SELECT 1 with connecting %s s, of 20 in a connection %s s\n' \
    "$(best "${ask[@]}" -c "SELECT 1")" "$(best "${ask[@]}" $(printf -- '-c SELECT(%s) ' {1..20}))"
printf 'logtally: %s rows %s s\n' "$rows" "$(best "${ask[@]}" -c "$large")"
printf 'logtally: 50 connections at once %s s, then %s\n' \
    "$(seconds bash -c 'for i in {1..50}; do "$@" -c "SELECT count(*) FROM logs" & done; wait' - "${ask[@]}")" "$(memory)"

if [[ ! -x $postgres/initdb ]]; then
    printf 'not compared: PostgreSQL is not there\n'
    exit
fi
mkdir "$scratch/data"
chmod 755 "$scratch"
((EUID != 0)) || chown postgres "$scratch/data"
as_user "$postgres/initdb" -D "$scratch/data" -A trust -U bench >/dev/null
as_user "$postgres/pg_ctl" -s -w -D "$scratch/data" -o "-p $((port + 1)) -k $scratch/data -c listen_addresses=127.0.0.1" -l "$scratch/data/log" start
other=(psql -XAtq -h 127.0.0.1 -p "$((port + 1))" -U bench -d postgres)
"${other[@]}" -c "CREATE TABLE logs (timestamp timestamptz, message text, log_group text, log_stream text)"
"${ask[@]}" -c "COPY (SELECT timestamp, message, log_group, log_stream FROM logs) TO STDOUT" | "${other[@]}" -c "COPY logs FROM STDIN"
"${other[@]}" -c "VACUUM ANALYZE logs"
printf 'PostgreSQL: first row of SELECT 1 with connecting %s s\n' "$(best "${other[@]}" -c "SELECT 1")"
printf 'PostgreSQL: %s rows %s s\n' "$rows" "$(best "${other[@]}" -c "$large")"
