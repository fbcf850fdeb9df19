# shellcheck shell=bash
# From here on, claude starts act-claude; \claude still starts claude itself.

\builtin alias claude=act-claude
_act_claude_note
\builtin complete -F _act_claude claude
