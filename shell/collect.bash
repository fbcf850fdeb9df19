# shellcheck shell=bash
# What shell/tarball, shell/debian and shell/npm have in common. They source this file, from the top of the project.

# Prints a message and ends with the status for wrong usage.
usage() {
    echo "shell/${0##*/}: $*" >&2
    exit 64
}

# Prints a message and ends.
fail() {
    echo "shell/${0##*/}: $*" >&2
    exit 1
}

# The absolute path of a file or directory that exists.
absolute() {
    case $1 in
        /*) echo "$1" ;;
        *) echo "$PWD/$1" ;;
    esac
}

# The version of the program.
version() {
    sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1
}

# Where the releases are: a directory with a directory vVERSION for each.
release_url() {
    local host='[A-Za-z0-9.-]+' rest='(:[0-9]+)?(/[A-Za-z0-9:/@._~%+-]*)?$'
    [[ $RELEASE_URL =~ ^https://$host$rest || $RELEASE_URL =~ ^http://127\.0\.0\.1$rest || $RELEASE_URL =~ ^file://$rest ]] ||
        usage "RELEASE_URL must be a plain URL that begins with https:// (or file:///): $RELEASE_URL"
    echo "${RELEASE_URL%/}"
}

# The time of all packed files, so that the same source gives the same bytes: SOURCE_DATE_EPOCH, or the commit's date. Without
# git, it is the time of the newest change in the change log's file.
packing_time() {
    if [[ -n ${SOURCE_DATE_EPOCH-} ]]; then
        echo "$SOURCE_DATE_EPOCH"
    elif [[ -e .git ]] && git log -1 --format=%ct 2>/dev/null; then
        return
    else
        date -r CHANGELOG.md +%s
    fi
}

# What a target triple is called by Debian and by Node: two words, "-" where there is no name.
names_of_target() {
    case $1 in
        x86_64-unknown-linux-*) echo amd64 linux-x64 ;;
        aarch64-unknown-linux-*) echo arm64 linux-arm64 ;;
        x86_64-apple-darwin) echo - darwin-x64 ;;
        aarch64-apple-darwin) echo - darwin-arm64 ;;
        *) usage "unknown target: $1 (x86_64 or aarch64, -unknown-linux-musl, -unknown-linux-gnu or -apple-darwin)" ;;
    esac
}

# The target of this machine's compiler.
own_target() {
    rustc -vV | sed -n 's/^host: //p'
}

# Fails where the program is not for the target: its first bytes say which system and processor it is for.
check_program() { # program target
    local start
    [[ -f $1 ]] || fail "$1: no such file"
    start=$(od -An -v -tx1 -N20 "$1" | tr -d ' \n')
    case $2:$start in
        x86_64-*-linux-*:7f454c4602??????????????????????????3e00) ;;
        aarch64-*-linux-*:7f454c4602??????????????????????????b700) ;;
        x86_64-apple-*:cffaedfe07000001*) ;;
        aarch64-apple-*:cffaedfe0c000001*) ;;
        *) fail "$1 is not a program for $2" ;;
    esac
}

# Puts the files that all packages have into a directory: the documents, the man page, the licences. The page is the output of a
# command.
collect_documents() { # directory command…
    local directory=$1
    shift
    mkdir -p "$directory/docs" "$directory/man"
    cp README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$directory"
    cp docs/*.md docs/*.svg docs/config.schema.json "$directory/docs"
    "$@" >"$directory/man/act-claude.1"
}

# Puts the completions of the three shells into a directory.
collect_completions() { # directory
    mkdir -p "$1/completions"
    cp shell/completion.bash "$1/completions/act-claude.bash"
    cp shell/completion.fish "$1/completions/act-claude.fish"
    # zsh finds the command in the file's first line and runs the file's content as the body of a function.
    {
        echo '#compdef act-claude'
        cat shell/completion.zsh
        # shellcheck disable=SC2016 # for zsh
        echo '_act_claude "$@"'
    } >"$1/completions/_act-claude"
}

# Puts everything that belongs to an installed act-claude into a directory.
collect() { # directory program command…
    local directory=$1 program=$2
    shift 2
    collect_documents "$directory" "$@"
    collect_completions "$directory"
    cp "$program" "$directory/act-claude"
    find "$directory" -type d -exec chmod 755 {} +
    find "$directory" -type f -exec chmod 644 {} +
    chmod 755 "$directory/act-claude"
}

# Reads the options that shell/tarball and shell/debian have: sets binary, target, man and output, the last as an absolute path
# of a directory, which is made. Builds the program where none is given. Goes to the top of the project.
# shellcheck disable=SC2034 # the variables are for the scripts
read_options() { # default directory, arguments…
    local default=$1
    shift
    binary='' target='' man=(cargo run --locked --quiet --example man)
    while [[ ${1-} == --* ]]; do
        [[ $# -ge 2 ]] || usage "$1 needs a value"
        case $1 in
            --binary) binary=$(absolute "$2") ;;
            --target) target=$2 ;;
            --man) man=("$(absolute "$2")") ;;
            *) usage "unknown option: $1" ;;
        esac
        shift 2
    done
    [[ $# -le 1 ]] || usage "too many arguments: $*"
    output=$(absolute "${1-$top/$default}")
    mkdir -p "$output"
    cd "$top" || exit
    if [[ -z $binary ]]; then
        [[ -z $target || $target == "$(own_target)" ]] || usage "--target $target needs --binary"
        cargo build --locked --release >&2
        binary=$(absolute "${CARGO_TARGET_DIR-target}/release/act-claude")
    fi
    target=${target:-$(own_target)}
    read -r debian_name node_name <<<"$(names_of_target "$target")"
    [[ -n $node_name ]] || exit 64
    check_program "$binary" "$target"
}
