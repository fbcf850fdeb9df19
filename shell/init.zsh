# From here on, claude starts act-claude; \claude still starts claude itself.

\builtin alias claude=act-claude

_act_claude_register() {
    precmd_functions=(${precmd_functions:#_act_claude_register})
    (( ${+functions[compdef]} )) || \builtin return 0
    compdef _act_claude act-claude
    # zsh completes an alias as the command behind it, unless complete_aliases is set.
    if [[ -o complete_aliases ]]; then
        [[ ${_comps[claude]:-} == _act_claude ]] || \builtin typeset -g _act_claude_theirs=${_comps[claude]:-}
        compdef _act_claude claude
    fi
}

# Where compinit runs later in the rc file, registers at the first prompt.
\builtin typeset -ga precmd_functions
if (( ${+functions[compdef]} )); then
    _act_claude_register
elif (( ! ${precmd_functions[(Ie)_act_claude_register]} )); then
    precmd_functions+=(_act_claude_register)
fi
