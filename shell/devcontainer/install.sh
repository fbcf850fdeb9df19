#!/bin/sh
# Installs act-claude in a dev container, as root, while its image is built. The options arrive as variables.
set -eu
umask 022 # the container's user is another one

# curl, where the image has none and a package manager that can install it. What is needed in the end, the installer says.
if ! command -v curl >/dev/null; then
    {
        if command -v apt-get >/dev/null; then
            apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends curl ca-certificates &&
                apt-get clean && rm -rf /var/lib/apt/lists/*
        elif command -v apk >/dev/null; then
            apk add --no-cache curl ca-certificates
        else
            false
        fi
    } || echo "act-claude: curl can't be installed here: add curl and ca-certificates to the image" >&2
fi

case ${VERSION:-latest} in
    latest) version=@VERSION@ ;; # for which this feature was made
    *) version=$VERSION ;;
esac
sh "$(dirname "$0")/installer.sh" --dir /usr/local/bin --version "$version"
# A link named claude that PATH finds before the real one: act-claude then starts the real one.
if [ "${SHIM-true}" = true ]; then
    mkdir -p /usr/local/share/act-claude/shim
    ln -sf /usr/local/bin/act-claude /usr/local/share/act-claude/shim/claude
fi
