# Completion of devlxd-simulator in bash.
_devlxd_simulator_completion() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_CWORD="$2" _DEVLXD_SIMULATOR_COMPLETE=bash_complete \
        "$1" 2>/dev/null)
}
complete -o nosort -F _devlxd_simulator_completion devlxd-simulator
