# shellcheck shell=bash
# Completes act-claude's own arguments. For claude's arguments it uses claude's own completion, or files.

_act_claude() {
    \builtin local cursor=${2-} answer='' where='' word=''
    COMPREPLY=()
    answer=$(\builtin command act-claude act complete -- \
        "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$cursor" 2>/dev/null) || \builtin return 0
    while IFS=$'\t' \builtin read -r word _; do
        if [[ -z $where ]]; then
            where=$word
        elif [[ $word == "$cursor"* ]]; then
            \builtin printf -v word '%q' "$word"
            COMPREPLY+=("$word")
        fi
    done <<<"$answer"
    case $where in
        claude\ *) _act_claude_delegate "${where#claude }" "$@" ;;
        files) _act_claude_option default ;;
    esac
}

# Registers it for a command. bash 3.2, which macOS has, can't switch files on for one completion: there they are always the
# last resort.
_act_claude_register() {
    if \builtin type -t compopt >/dev/null; then
        \builtin complete -F _act_claude "$1"
    else
        \builtin complete -o default -F _act_claude "$1"
    fi
}

# Switches an option on for this completion.
_act_claude_option() {
    if \builtin type -t compopt >/dev/null; then
        \builtin compopt -o "$1"
    fi
}

# Saves the completion that is registered for claude, unless that is the function above.
_act_claude_note() {
    \builtin local found=''
    found=$(\builtin complete -p claude 2>/dev/null) || \builtin return 0
    [[ $found == *_act_claude* ]] || _act_claude_theirs=$found
}

# Adds the candidates of claude's own completion. $1: how many of act-claude's own arguments precede claude's.
_act_claude_delegate() {
    # bash 3.2 refuses a pattern with parentheses that stands in the condition itself.
    \builtin local skip=$1 loader='' spec='' option=' -o ([a-z]+)(.*)' run=' -F ([^ ]+)'
    \builtin local -a ours words
    ours=("${COMPREPLY[@]}") words=("${COMP_WORDS[@]}")
    \builtin shift
    if [[ -z ${_act_claude_theirs-} ]]; then
        # bash-completion loads a command's completion only when it is first needed.
        for loader in _comp_complete_load _completion_loader; do
            \builtin declare -F "$loader" >/dev/null || \builtin continue
            \builtin complete -r claude 2>/dev/null
            "$loader" claude >/dev/null 2>&1
            \builtin break
        done
        _act_claude_note
        # bash 3.2 has no BASH_ALIASES.
        if [[ $(\builtin alias claude 2>/dev/null) == *"claude='act-claude'" ]]; then
            _act_claude_register claude
        fi
        : "${_act_claude_theirs:=complete -o bashdefault -o default claude}"
    fi
    spec=$_act_claude_theirs
    while [[ $spec =~ $option ]]; do
        _act_claude_option "${BASH_REMATCH[1]}"
        spec=${BASH_REMATCH[2]}
    done
    COMPREPLY=()
    if [[ $_act_claude_theirs =~ $run ]]; then
        \builtin local -a COMP_WORDS
        \builtin local COMP_CWORD=$((COMP_CWORD - skip)) COMP_LINE='' COMP_POINT=0
        COMP_WORDS=(claude "${words[@]:skip+1}")
        COMP_LINE="${COMP_WORDS[*]}"
        COMP_POINT=${#COMP_LINE}
        "${BASH_REMATCH[1]}" claude "${@:2}"
    fi
    COMPREPLY=("${ours[@]}" "${COMPREPLY[@]}")
}

_act_claude_register act-claude
