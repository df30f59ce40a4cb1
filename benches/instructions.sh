#!/bin/sh
# Counts the instructions that commands execute, and compares them with benches/instructions.txt.
# Unlike times, instruction counts do not depend on the machine's load, so CI can check them. Fails when
# a count is more than 10 % above the recorded one.
#
#   benches/instructions.sh                    compare
#   benches/instructions.sh --record 'REASON'  record the current counts; those that changed by more
#                                              than 1 % get REASON
#
# Needs valgrind. Counts depend on the toolchain; the file names the one that was used.
set -eu

cd "$(dirname "$0")/.."
recorded=benches/instructions.txt
command -v valgrind >/dev/null || { echo "instructions.sh: valgrind is not installed" >&2; exit 2; }

# The benchmark signs in to a sandbox and runs this script again with NEXUS_HOME set. It is built like the tests, because
# only the packaged program is counted, and linking a release build takes minutes.
if [ -z "${NEXUS_STAGED-}" ]; then
    case ${1-} in
    '' | --record) ;;
    *) echo "usage: benches/instructions.sh [--record REASON]" >&2; exit 2 ;;
    esac
    if [ "${1-}" = --record ] && [ -z "${2-}" ]; then
        echo "instructions.sh: --record needs a reason for the new counts" >&2
        exit 2
    fi
    packaging/release --binary >/dev/null
    NEXUS_STAGED=1 exec cargo bench --quiet --locked --profile dev --bench startup -- \
        --run sh "$PWD/benches/instructions.sh" "$@"
fi
NEXUS=$PWD/target/x86_64-unknown-linux-gnu/release/nexus

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# A signal alone does not run what is set for the exit.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
tab=$(printf '\t')
toolchain="$(rustc --version), $(rustc -vV | sed -n 's/^host: //p')"

# The smallest of three counts: waiting for the network only adds instructions.
count() {
    least=
    for run in 1 2 3; do
        if ! env -i PATH="$PATH" NEXUS_HOME="$NEXUS_HOME" valgrind --tool=callgrind \
            --callgrind-out-file="$scratch/profile" --log-file="$scratch/log" \
            "$NEXUS" "$@" </dev/null >/dev/null 2>"$scratch/said"; then
            echo "instructions.sh: nexus $* failed under valgrind (run $run):" >&2
            cat "$scratch/said" "$scratch/log" >&2
            exit 1
        fi
        now=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$scratch/log")
        if [ -z "$least" ] || [ "$now" -lt "$least" ]; then least=$now; fi
    done
    printf '%s\t%s\n' "$*" "$least"
}

{
    count --version
    count oauth status
    count oauth token
    count chat x
} >"$scratch/counts"

if [ "${1-}" = --record ]; then
    touch "$recorded"
    {
        echo "# Instructions executed, counted by callgrind. Columns: command, count, reason for the last change."
        echo "# toolchain: $toolchain"
        awk -F "$tab" -v OFS="$tab" -v reason="$2" '
            FILENAME == ARGV[1] { if ($0 !~ /^#/) { old[$1] = $2; why[$1] = $3 } next }
            {
                changed = $2 - old[$1]
                if (changed < 0) changed = -changed
                kept = ($1 in old) && changed * 100 <= old[$1]
                print $1, kept ? old[$1] : $2, kept ? why[$1] : reason
            }
        ' "$recorded" "$scratch/counts"
    } >"$scratch/new"
    cp "$scratch/new" "$recorded"
    cat "$recorded"
    exit 0
fi

record="benches/instructions.sh --record 'REASON'"
if [ ! -e "$recorded" ]; then
    echo "instructions.sh: $recorded is missing; create it with $record" >&2
    exit 1
fi
if ! grep -qxF "# toolchain: $toolchain" "$recorded"; then
    echo "note: the recorded counts are from another toolchain; this is $toolchain" >&2
fi
awk -F "$tab" -v record="$record" '
    FILENAME == ARGV[1] { if ($0 !~ /^#/) old[$1] = $2; next }
    !($1 in old) { printf "%-14s %10d  not recorded\n", $1, $2; bad = 1; next }
    {
        change = 100 * ($2 - old[$1]) / old[$1]
        over = change > 10
        if (over) bad = 1
        printf "%-14s %10d  %+6.1f %% of %d%s\n", $1, $2, change, old[$1], over ? "  MORE THAN 10 %" : ""
    }
    END {
        if (bad) print "\nIf this is intended, record the new counts: " record
        exit bad
    }
' "$recorded" "$scratch/counts"
