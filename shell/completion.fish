# Completes act-claude's own arguments. For claude's arguments it uses claude's own completion, or files.

function __act_claude_answer
    set --local words (commandline --current-process --tokenize --cut-at-cursor)
    set --erase words[1]
    command act-claude act complete -- $words (commandline --current-token --cut-at-cursor) 2>/dev/null
end

# Prints the candidates of claude's own completion, for the command line without act-claude's own arguments. $argv[1]: how many of
# these precede claude's.
function __act_claude_theirs
    set --local words (commandline --current-process --tokenize --cut-at-cursor)
    # The command was typed as claude, without arguments of act-claude: fish uses claude's own completion anyway.
    if test "$words[1]" = claude -a "$argv[1]" -eq 0
        return
    end
    set --erase words[1]
    set --local line claude (string escape -- $words[(math $argv[1] + 1)..-1])
    set --local token (commandline --current-token --cut-at-cursor)
    set --global __act_claude_asks
    complete --do-complete "$line $token"
    set --erase --global __act_claude_asks
end

function __act_claude_words
    # __act_claude_theirs is asking for claude's own completion: add nothing.
    set --query --global __act_claude_asks; and return
    set --local answer (__act_claude_answer)
    set --local rest (string match --regex --groups-only '^claude (\d+)$' -- $answer[1])
    set --erase answer[1]
    printf '%s\n' $answer
    test -n "$rest"; and __act_claude_theirs $rest
end

function __act_claude_only
    set --query --global __act_claude_asks; and return 1
    set --local answer (__act_claude_answer)
    string match --quiet --regex '^(own|claude [1-9])' -- $answer[1]
    or begin
        set --local typed (commandline --current-process --tokenize --cut-at-cursor)
        string match --quiet 'claude *' -- $answer[1]; and test "$typed[1]" = act-claude
    end
end

complete --erase --command act-claude
complete --command act-claude --condition __act_claude_only --no-files
complete --command act-claude --keep-order --arguments '(__act_claude_words)'
