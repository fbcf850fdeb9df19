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
[ -z "${ZSH_VERSION-}" ] || emulate sh
set -eu

# Where the releases are: each in a directory vVERSION.
release_url='@URL@'
# The checksums of the archives of version @VERSION@, as in SHA256SUMS. Who trusts this script can trust what it installs, whatever
# the server answers. Where there are none, the release's list is fetched, as for all other versions.
checksums='@SUMS@'

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
            elif ! command -v wget >/dev/null; then
                fail "needs curl or wget"
            elif [ -n "$known" ]; then
                wget -q -O "$2" "$1" </dev/null || fail "$1 can't be fetched"
            else
                # wget follows redirections from https to http, and some check no certificate.
                fail "needs curl: for version $version, this script has no checksums, and wget does not make sure who answers"
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

# The directory for data, or nothing. A relative path counts as none.
data_directory() {
    case ${XDG_DATA_HOME-} in
        /*) say "$XDG_DATA_HOME" ;;
        *) [ -z "${HOME-}" ] || say "$HOME/.local/share" ;;
    esac
}

# Whether nobody else can change what is in a directory: for root, it must be root's own.
is_safe() { # directory
    # shellcheck disable=SC3067 # in all these shells
    [ "$(id -u)" != 0 ] || [ -O "$1" ]
}

# Fails where root would write into another user's directory, as with sudo, which may keep HOME.
check_owner() { # directory
    existing=$1
    while [ ! -e "$existing" ]; do
        existing=${existing%/*}
        existing=${existing:-/}
    done
    case $1/ in
        "${HOME:-/nowhere}"/*) is_safe "$HOME" || existing=$HOME ;;
    esac
    is_safe "$existing" ||
        fail "$existing belongs to another user: start this script as that user, or say --dir /usr/local/bin"
}

# Writes a file of the archive beside the path where it belongs. An archive has no say about where its files go.
unpack() { # archive, its file, path, mode
    new=$(mktemp "$3.XXXXXX" 2>"$work/said") || return 1
    if tar -xzOf "$1" "$2" >"$new" 2>"$work/said" && [ -s "$new" ] && chmod "$4" "$new"; then
        return 0
    fi
    rm -f "$new"
    return 1
}

# Installs the man page and the completions. The program works without them.
install_extras() { # archive, the directory in it
    data=$(data_directory)
    [ -n "$data" ] || return 0
    for extra in $extras; do
        file=$data/${extra#*:}
        if [ ! -d "${file%/*}" ] || [ ! -w "${file%/*}" ] || [ -d "$file" ] || ! is_safe "${file%/*}"; then
            continue
        fi
        if unpack "$1" "$2/${extra%%:*}" "$file" 644 && mv -f "$new" "$file"; then
            say "Installed: $file"
        else
            say "install.sh: not installed: $file: $(cat "$work/said")" >&2
        fi
    done
}

# Fetches the archive for this system, and checks it.
fetch_archive() { # file
    if [ -n "$known" ]; then
        say "$known" >"$work/SHA256SUMS"
    else
        fetch "$release_url/v$version/SHA256SUMS" "$work/SHA256SUMS"
    fi
    fetch "$release_url/v$version/$name.tar.gz" "$1"
    wanted=$(published "$work/SHA256SUMS" "$name.tar.gz")
    found=$(checksum "$1")
    [ "$wanted" = "$found" ] || fail "$name.tar.gz has the checksum $found, published is $wanted: nothing was installed"
}

install() { # directory
    target=$(target)
    name=act-claude-$version-$target archive=$work/archive.tar.gz
    check_owner "$1"
    if ! mkdir -p "$1" 2>/dev/null || [ ! -w "$1" ]; then
        fail "$1 can't be written to: choose another directory with --dir"
    fi
    [ ! -d "$1/act-claude" ] || fail "$1/act-claude is a directory"
    fetch_archive "$archive"
    unpack "$archive" "$name/act-claude" "$1/act-claude" 755 || fail "$1/act-claude can't be written: $(cat "$work/said")"
    told=$("$new" act --version </dev/null 2>&1) || fail "the program doesn't run here: $told"
    case "$told " in
        "act-claude $version "*) ;;
        *) fail "the program in $name.tar.gz is another version: it says $told: nothing was installed" ;;
    esac
    replaced=''
    if [ -f "$1/act-claude" ] && [ -x "$1/act-claude" ]; then
        replaced=$("$1/act-claude" act --version </dev/null 2>/dev/null || :)
    fi
    case $replaced in
        "act-claude "*)
            replaced=${replaced#* }
            replaced=", replaces ${replaced%% *}"
            ;;
        *) replaced='' ;;
    esac
    mv -f "$new" "$1/act-claude"
    say "Installed: $told, in $1/act-claude$replaced"
    install_extras "$archive" "$name"
    case :$PATH: in
        *:"$1":* | *:"$1"/:*)
            first=$(command -v act-claude || :)
            # shellcheck disable=SC3013 # in all these shells
            [ "$first" -ef "$1/act-claude" ] || say "Another act-claude comes first on PATH: $first"
            ;;
        *) say "It is not on PATH yet. Put this line into your shell's rc file: export PATH=\"$1:\$PATH\"" ;;
    esac
    say "Next: act-claude act setup"
}

uninstall() { # directory
    data=$(data_directory)
    if [ -L "$1/act-claude" ]; then
        say "Left: $1/act-claude is a link, which this script did not make"
        return
    elif [ ! -f "$1/act-claude" ]; then
        say "There is no $1/act-claude to remove"
        return
    fi
    set -- "$1/act-claude"
    for extra in $extras; do
        [ -z "$data" ] || set -- "$@" "$data/${extra#*:}"
    done
    for file; do
        if [ -f "$file" ] && [ ! -L "$file" ]; then
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
                case ${2-} in
                    '' | -*) fail "$1 needs a value" ;;
                esac
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
    while [ "$directory" != "${directory%/}" ] && [ "$directory" != / ]; do
        directory=${directory%/}
    done
    known=''
    [ "$version" != '@VERSION@' ] || known=$checksums
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
