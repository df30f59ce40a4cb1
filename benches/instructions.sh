#!/bin/sh
# Counts the instructions that commands execute, and compares them with benches/instructions.txt.
# Milliseconds depend on the machine and its mood; instructions do not, so this can be a gate: it
# fails when a count has risen by more than 10 %.
#
#   benches/instructions.sh                    compare
#   benches/instructions.sh --record 'REASON'  write down the counts as they are now; what changed
#                                              by more than 1 % gets the reason
#
# Needs valgrind. The counts belong to a toolchain: the file names the one that made it.
set -eu

cd "$(dirname "$0")/.."
recorded=benches/instructions.txt
command -v valgrind >/dev/null || { echo "instructions.sh: valgrind is not installed" >&2; exit 2; }

# The benchmark signs in to a sandbox and runs this script again, beside it.
if [ -z "${NEXUS_STAGED-}" ]; then
    case ${1-} in
    '' | --record) ;;
    *) echo "usage: benches/instructions.sh [--record REASON]" >&2; exit 2 ;;
    esac
    if [ "${1-}" = --record ] && [ -z "${2-}" ]; then
        echo "instructions.sh: --record wants the reason for the new counts" >&2
        exit 2
    fi
    NEXUS_STAGED=1 exec cargo bench --quiet --bench startup -- --run sh "$PWD/benches/instructions.sh" "$@"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tab=$(printf '\t')
toolchain="$(rustc --version), $(rustc -vV | sed -n 's/^host: //p')"

# The least of three counts: what a network adds is never negative.
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
        echo "# Instructions executed, counted by callgrind: command, count, why it is what it is."
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

anew="benches/instructions.sh --record 'REASON' writes down the counts as they are now"
if [ ! -e "$recorded" ]; then
    echo "instructions.sh: there is no $recorded yet; $anew" >&2
    exit 1
fi
if ! grep -qxF "# toolchain: $toolchain" "$recorded"; then
    echo "note: recorded with another toolchain than this one ($toolchain)" >&2
fi
awk -F "$tab" -v anew="$anew" '
    FILENAME == ARGV[1] { if ($0 !~ /^#/) old[$1] = $2; next }
    !($1 in old) { printf "%-14s %10d  was never recorded\n", $1, $2; bad = 1; next }
    {
        change = 100 * ($2 - old[$1]) / old[$1]
        over = change > 10
        if (over) bad = 1
        printf "%-14s %10d  %+6.1f %% of %d%s\n", $1, $2, change, old[$1], over ? "  MORE THAN 10 %" : ""
    }
    END {
        if (bad) print "\nIf this is meant: " anew ", and the reason goes into the history with it."
        exit bad
    }
' "$recorded" "$scratch/counts"
