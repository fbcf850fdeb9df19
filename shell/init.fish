# From here on, claude starts act-claude; `command claude` still starts claude itself.

function claude --wraps act-claude --description 'Claude Code under Agent Control Tower'
    command act-claude $argv
end
