# Completion of devlxd-simulator in fish.
function _devlxd_simulator_completion
    set -l words (commandline -opc)
    set -l line (commandline -cp | string collect)
    for reply in (env COMP_WORDS=$line _DEVLXD_SIMULATOR_COMPLETE=fish_complete $words[1] 2>/dev/null)
        set -l parts (string split -m 1 , -- $reply)
        switch $parts[1]
            case plain
                printf '%s\n' $parts[2]
            case file
                __fish_complete_path $parts[2]
            case dir
                __fish_complete_directories $parts[2]
        end
    end
end
complete --command devlxd-simulator --no-files --keep-order --arguments '(_devlxd_simulator_completion)'
