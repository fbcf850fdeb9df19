# shellcheck shell=bash
# Completes act-claude's own arguments. For claude's arguments it uses claude's own completion, or files.

_act_claude() {
    \builtin local cursor='' answer='' where='' word='' typed=''
    \builtin local -a line ends
    _act_claude_join "${2-}"
    COMPREPLY=()
    cursor=${line[${#line[@]} - 1]}
    answer=$(\builtin command act-claude act complete -- \
        "${line[@]:0:${#line[@]}-1}" "$cursor" 2>/dev/null) || \builtin return 0
    while IFS=$'\t' \builtin read -r word _; do
        if [[ -z $where ]]; then
            where=$word
        elif [[ $word == "$cursor"* ]]; then
            # Where bash has split the word at "=", it completes only what follows.
            word=${word#"$typed"}
            \builtin printf -v word '%q' "$word"
            COMPREPLY+=("$word")
        fi
    done <<<"$answer"
    case $where in
        claude\ 0) _act_claude_delegate 0 "$@" ;;
        claude\ *) _act_claude_delegate "${ends[${where#claude } - 1]}" "$@" ;;
        files) _act_claude_option default ;;
    esac
}

# bash splits --alias=web at "=", into three words. Puts the words before the cursor, and what is typed at the cursor ($1), into
# line, unsplit; and into ends, for each, where it ends in COMP_WORDS. typed: the part of the
# last one that bash leaves as it is.
_act_claude_join() {
    \builtin local word='' before=''
    \builtin local -i index last=-1
    for ((index = 1; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        [[ index -lt COMP_CWORD || $word == = ]] || word=$1
        typed=''
        if [[ $last -ge 0 && $word == = && ${line[last]} == --[a-z]* && ${line[last]} != *=* ]]; then
            line[last]+='='
            typed=${line[last]}
        elif [[ $last -ge 0 && $before == = && ${line[last]} == --[a-z]*= ]]; then
            typed=${line[last]}
            line[last]+=$word
        else
            last+=1
            line[last]=$word
        fi
        ends[last]=$index
        before=$word
    done
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
