# claude is act-claude from here on; `command claude` is not.

function claude --wraps act-claude --description 'Claude Code under Agent Control Tower'
    command act-claude $argv
end
