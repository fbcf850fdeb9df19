# shellcheck shell=bash
# From here on, claude starts act-claude; \claude still starts claude itself.

\builtin alias claude=act-claude
_act_claude_note
_act_claude_register claude
