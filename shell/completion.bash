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
        files) \builtin compopt -o default ;;
    esac
}

# Saves the completion that is registered for claude, unless that is the function above.
_act_claude_note() {
    \builtin local found=''
    found=$(\builtin complete -p claude 2>/dev/null) || \builtin return 0
    [[ $found == *_act_claude* ]] || _act_claude_theirs=$found
}

# Adds the candidates of claude's own completion. $1: how many of act-claude's own arguments precede claude's.
_act_claude_delegate() {
    \builtin local skip=$1 loader='' spec=''
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
        if [[ ${BASH_ALIASES[claude]-} == act-claude ]]; then
            \builtin complete -F _act_claude claude
        fi
        : "${_act_claude_theirs:=complete -o bashdefault -o default claude}"
    fi
    spec=$_act_claude_theirs
    while [[ $spec =~ \ -o\ ([a-z]+)(.*) ]]; do
        \builtin compopt -o "${BASH_REMATCH[1]}"
        spec=${BASH_REMATCH[2]}
    done
    COMPREPLY=()
    if [[ $_act_claude_theirs =~ \ -F\ ([^\ ]+) ]]; then
        \builtin local -a COMP_WORDS
        \builtin local COMP_CWORD=$((COMP_CWORD - skip)) COMP_LINE='' COMP_POINT=0
        COMP_WORDS=(claude "${words[@]:skip+1}")
        COMP_LINE="${COMP_WORDS[*]}"
        COMP_POINT=${#COMP_LINE}
        "${BASH_REMATCH[1]}" claude "${@:2}"
    fi
    COMPREPLY=("${ours[@]}" "${COMPREPLY[@]}")
}

\builtin complete -F _act_claude act-claude
