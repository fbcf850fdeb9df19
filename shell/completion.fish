# Completes act-claude: its own words, and files where something else can stand.

function __act_claude_answer
    set --local words (commandline --current-process --tokenize --cut-at-cursor)
    set --erase words[1]
    command act-claude act complete -- $words (commandline --current-token --cut-at-cursor) 2>/dev/null
end

function __act_claude_words
    set --local answer (__act_claude_answer)
    set --erase answer[1]
    printf '%s\n' $answer
end

function __act_claude_only
    set --local answer (__act_claude_answer)
    test "$answer[1]" = own
end

complete --erase --command act-claude
complete --command act-claude --condition __act_claude_only --no-files
complete --command act-claude --keep-order --arguments '(__act_claude_words)'
