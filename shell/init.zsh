# claude is act-claude from here on; \claude is not.

\builtin alias claude=act-claude

_act_claude_register() {
    precmd_functions=(${precmd_functions:#_act_claude_register})
    (( ${+functions[compdef]} )) || \builtin return 0
    compdef _act_claude act-claude
    # An alias is completed as what it stands for, unless this is set.
    if [[ -o complete_aliases ]]; then
        [[ ${_comps[claude]:-} == _act_claude ]] || \builtin typeset -g _act_claude_theirs=${_comps[claude]:-}
        compdef _act_claude claude
    fi
}

# Where compinit comes later, at the first prompt.
\builtin typeset -ga precmd_functions
if (( ${+functions[compdef]} )); then
    _act_claude_register
elif (( ! ${precmd_functions[(Ie)_act_claude_register]} )); then
    precmd_functions+=(_act_claude_register)
fi
