#!/bin/sh
# Installs act-claude @VERSION@ for this user, without root:
#
#   sh install.sh                    into ~/.local/bin
#   sh install.sh --dir DIRECTORY    into another one (or ACT_CLAUDE_INSTALL_DIR)
#   sh install.sh --version VERSION  another version
#   sh install.sh --uninstall        removes what this script has installed
#
# It fetches the archive for this system, compares its SHA-256 checksum with the published one, and puts the program into place in
# one step, so that a running act-claude is not disturbed. The man page and completions are installed where the directories for
# them exist below ~/.local/share (XDG_DATA_HOME).
#
# Everything is in functions, and only the last line calls one: where the download of this script is cut off, nothing is executed.
set -eu

# Where the releases are: each in a directory vVERSION.
release_url='@URL@'

say() {
    printf '%s\n' "$*"
}

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

# What this system is called in the names of archives.
target() {
    case $(uname -s) in
        Linux) system=unknown-linux-musl ;;
        Darwin) system=apple-darwin ;;
        *) fail "there is no act-claude for $(uname -s): only for Linux, macOS, and Windows with WSL" ;;
    esac
    case $(uname -m) in
        x86_64 | amd64) processor=x86_64 ;;
        aarch64 | arm64) processor=aarch64 ;;
        *) fail "there is no act-claude for the processor $(uname -m): only for x86_64 and aarch64 (arm64)" ;;
    esac
    # A shell that Rosetta translates sees another processor.
    if [ "$system" = apple-darwin ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || :)" = 1 ]; then
        processor=aarch64
    fi
    say "$processor-$system"
}

# Fetches a file of a release.
fetch() { # URL file
    case $1 in
        file://*) cp "${1#file://}" "$2" || fail "$1 can't be read" ;;
        *)
            if command -v curl >/dev/null; then
                curl --fail --silent --show-error --location --proto-redir =https --connect-timeout 60 --speed-time 60 \
                    --output "$2" "$1" </dev/null || fail "$1 can't be fetched"
            elif command -v wget >/dev/null; then
                wget -q -O "$2" "$1" </dev/null || fail "$1 can't be fetched"
            else
                fail "needs curl or wget"
            fi
            ;;
    esac
}

# The SHA-256 checksum of a file, in lower-case hexadecimal.
checksum() { # file
    if command -v sha256sum >/dev/null; then
        set -- "$(sha256sum <"$1")"
    elif command -v shasum >/dev/null; then
        set -- "$(shasum -a 256 <"$1")"
    elif command -v openssl >/dev/null; then
        set -- "$(openssl dgst -sha256 -r <"$1")"
    else
        fail "needs sha256sum, shasum or openssl, to check what it fetches"
    fi
    say "${1%% *}"
}

# The published checksum of an archive.
published() { # list archive
    while read -r sum name || [ -n "$sum" ]; do
        case $name in
            "$2" | "*$2")
                say "$sum"
                return
                ;;
        esac
    done <"$1"
    fail "SHA256SUMS of version $version has no checksum of $2"
}

# The files that are installed where a directory for them exists: their path in the archive, and in the directory for data.
extras='man/act-claude.1:man/man1/act-claude.1
completions/act-claude.bash:bash-completion/completions/act-claude
completions/act-claude.fish:fish/vendor_completions.d/act-claude.fish
completions/_act-claude:zsh/site-functions/_act-claude'

# The directory for data, or nothing.
data_directory() {
    if [ -n "${XDG_DATA_HOME-}" ]; then
        say "$XDG_DATA_HOME"
    elif [ -n "${HOME-}" ]; then
        say "$HOME/.local/share"
    fi
}

# Writes a file of the archive beside the path where it belongs. An archive has no say about where its files go.
place() { # archive, its file, path, mode
    new=$3.$$
    if ! tar -xzOf "$1" "$2" >"$new" 2>"$work/said" || [ ! -s "$new" ]; then
        fail "$3 can't be written: $(cat "$work/said")"
    fi
    chmod "$4" "$new"
}

install() { # directory
    target=$(target)
    name=act-claude-$version-$target
    if ! mkdir -p "$1" 2>/dev/null || [ ! -w "$1" ]; then
        fail "$1 can't be written to: choose another directory with --dir"
    fi
    [ ! -d "$1/act-claude" ] || fail "$1/act-claude is a directory"
    fetch "$release_url/v$version/SHA256SUMS" "$work/SHA256SUMS"
    fetch "$release_url/v$version/$name.tar.gz" "$work/$name.tar.gz"
    wanted=$(published "$work/SHA256SUMS" "$name.tar.gz")
    found=$(checksum "$work/$name.tar.gz")
    [ "$wanted" = "$found" ] || fail "$name.tar.gz has the checksum $found, published is $wanted: nothing was installed"

    place "$work/$name.tar.gz" "$name/act-claude" "$1/act-claude" 755
    told=$("$new" act --version </dev/null 2>&1) || fail "the program doesn't run here: $told"
    mv -f "$new" "$1/act-claude"
    say "Installed: $told, in $1/act-claude"
    data=$(data_directory)
    for extra in $extras; do
        file=$data/${extra#*:}
        if [ -n "$data" ] && [ -d "${file%/*}" ] && [ -w "${file%/*}" ]; then
            place "$work/$name.tar.gz" "$name/${extra%%:*}" "$file" 644
            mv -f "$new" "$file"
            say "Installed: $file"
        fi
    done
    case :$PATH: in
        *:"$1":*)
            first=$(command -v act-claude || :)
            [ "$first" = "$1/act-claude" ] || say "Another act-claude comes first on PATH: $first"
            ;;
        *) say "It is not on PATH yet. Put this line into your shell's rc file: export PATH=\"$1:\$PATH\"" ;;
    esac
    say "Next: act-claude act setup"
}

uninstall() { # directory
    data=$(data_directory)
    set -- "$1/act-claude"
    for extra in $extras; do
        [ -z "$data" ] || set -- "$@" "$data/${extra#*:}"
    done
    for file; do
        if [ -f "$file" ]; then
            rm -f "$file" || fail "$file can't be removed"
            say "Removed: $file"
        fi
    done
    for left in "${XDG_CONFIG_HOME:-${HOME-}/.config}/act-claude" "${XDG_STATE_HOME:-${HOME-}/.local/state}/act-claude"; do
        [ ! -d "$left" ] || say "Left: $left (before the program, act-claude act uninstall removes it)"
    done
}

main() {
    version='@VERSION@' action=install directory=${ACT_CLAUDE_INSTALL_DIR:-${HOME:+$HOME/.local/bin}}
    while [ $# -gt 0 ]; do
        case $1 in
            --version | --dir)
                [ -n "${2-}" ] || fail "$1 needs a value"
                if [ "$1" = --dir ]; then directory=$2; else version=${2#v}; fi
                shift
                ;;
            --uninstall) action=uninstall ;;
            --help)
                say "Installs act-claude without root. Options: --dir DIRECTORY, --version VERSION, --uninstall"
                return
                ;;
            *) fail "unknown option: $1 (there are --dir DIRECTORY, --version VERSION, --uninstall)" ;;
        esac
        shift
    done
    case $version in
        *[!0-9A-Za-z.+-]* | .*) fail "not a version: $version" ;;
    esac
    [ -n "$directory" ] || fail "HOME is not set: say where to install with --dir DIRECTORY"
    case $directory in
        /*) ;;
        *) directory=$PWD/$directory ;;
    esac
    work='' new=''
    trap 'rm -rf "$work" "$new"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    work=$(mktemp -d)
    case $action in
        install) install "$directory" ;;
        uninstall) uninstall "$directory" ;;
    esac
}

{ main "$@"; }
