#!/bin/sh
# The one step of action.yml: installs act-claude into the job's temporary directory, writes its configuration there, and tells the
# following steps where both are. The inputs arrive as INPUT_… variables.
#
# The token is in a file, not in GITHUB_ENV: variables written there are in the environment of every following step. The runner
# empties the temporary directory before and after each job.
set -eu

say() {
    printf '%s\n' "$*"
}

fail() {
    say "::error title=act-claude::$*"
    exit 1
}

# The token is in this shell alone: no program that it runs has it in its environment. A variable that the job has exported would
# stay exported.
unset token
token=$INPUT_TOKEN
unset INPUT_TOKEN
[ -n "$token" ] || fail "the input token is empty: is the secret available to this workflow?"

# Wrong inputs end the step before anything is fetched. The messages do not repeat what could be several lines: the runner would
# read each as a command.
case $INPUT_CHECK in
    true) check='' ;;
    false) check=--no-check ;;
    *) fail 'the input check is neither "true" nor "false"' ;;
esac
case $INPUT_CLAUDE in
    *"
"*) fail "the input claude is more than one line" ;; # each line would become a variable
    "" | /*) claude=$INPUT_CLAUDE ;;
    *) claude=$PWD/$INPUT_CLAUDE ;; # the following steps can be in other directories
esac
if [ -n "$claude" ] && { [ ! -f "$claude" ] || [ ! -x "$claude" ]; }; then
    fail "the input claude is not a program: $claude"
fi

# A new directory, private to this user: another use of the action in the same job keeps its own token and endpoint.
directory=$(mktemp -d "$RUNNER_TEMP/act-claude.XXXXXX")
# Without a directory for data, the installer puts the program into place and nothing into the home of the runner's user.
XDG_DATA_HOME=$directory/none sh "$GITHUB_ACTION_PATH/installer.sh" --dir "$directory/bin" --version "$INPUT_VERSION"
program=$directory/bin/act-claude

(umask 077 && printf '%s\n' "$token" >"$directory/token")
export ACT_CLAUDE_CONFIG="$directory/config.json"

set -- --yes --account ci --user "$INPUT_USER" --token-file "$directory/token" --name "$INPUT_ALIAS" --default
if [ -n "$INPUT_SPEC" ]; then
    set -- "$@" --spec "$INPUT_SPEC"
fi
if [ -n "$INPUT_ENDPOINT" ]; then
    set -- "$@" --endpoint "$INPUT_ENDPOINT"
fi
if [ -n "$INPUT_ID" ]; then
    set -- "$@" --id "$INPUT_ID"
fi
if [ -n "$INPUT_PROVIDER_TYPE" ]; then
    set -- "$@" --provider-type "$INPUT_PROVIDER_TYPE"
fi
"$program" act setup "$@" ${check:+"$check"} </dev/null

say "ACT_CLAUDE_CONFIG=$ACT_CLAUDE_CONFIG" >>"$GITHUB_ENV"
if [ -n "$claude" ]; then
    say "ACT_CLAUDE_BIN=$claude" >>"$GITHUB_ENV"
elif ! command -v claude >/dev/null; then
    say "::warning title=act-claude::no claude on PATH: install Claude Code in a step before it is used, or give the input claude"
fi
say "$directory/bin" >>"$GITHUB_PATH"
say "path=$program" >>"$GITHUB_OUTPUT"
