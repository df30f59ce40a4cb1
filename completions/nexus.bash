# Completes nexus: passes the line as far as the cursor, and the text that bash replaces. COMP_WORDS is split at `=` and `:`,
# and nothing tells which of its words belong together.
_nexus() {
    local IFS=$'\n'
    read -r -d '' -a COMPREPLY <<< "$(COMPLETE=bash "nexus" -- "${COMP_LINE:0:COMP_POINT}" "$2" 2> /dev/null)"
    if [[ "${COMPREPLY-}" == $'\v' ]]; then
        COMPREPLY=()
        compopt -o default 2> /dev/null
    fi
}
if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -o bashdefault -o nosort -F _nexus nexus
else
    complete -o bashdefault -o default -F _nexus nexus
fi
