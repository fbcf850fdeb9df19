# shellcheck shell=bash
# claude is act-claude from here on; \claude is not.

\builtin alias claude=act-claude
_act_claude_note
\builtin complete -F _act_claude claude
