# Completes act-claude's own arguments. For claude's arguments it uses claude's own completion, or files.

_act_claude() {
    \builtin local -a answer entries
    \builtin local where entry theirs
    \builtin local -i skip status_=1
    answer=("${(@f)$(\builtin command act-claude act complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    where=$answer[1]
    for entry in "${(@)answer[2,-1]}"; do
        entries+=("${${entry%%$'\t'*}//:/\\:}:${entry#*$'\t'}")
    done
    if (( $#entries )); then
        _describe -t act-claude act-claude entries && status_=0
    fi
    case $where in
        claude\ *)
            skip=${where#claude }
            words=(claude "${(@)words[skip + 2,-1]}")
            (( CURRENT -= skip ))
            theirs=${_comps[claude]:-}
            [[ $theirs == _act_claude ]] && theirs=${_act_claude_theirs:-}
            \builtin local service=${_services[claude]:-claude}
            \builtin eval "${theirs:-_default}" && status_=0
            ;;
        files) _files && status_=0 ;;
    esac
    \builtin return status_
}
