#!/bin/sh
# Installs act-claude in a dev container, as root, while its image is built. The options arrive as variables.
set -eu

sh "$(dirname "$0")/installer.sh" --dir /usr/local/bin --version "${VERSION:-@VERSION@}"
# A link named claude that PATH finds before the real one: act-claude then starts the real one.
if [ "${SHIM-true}" = true ]; then
    mkdir -p /usr/local/share/act-claude/shim
    ln -sf /usr/local/bin/act-claude /usr/local/share/act-claude/shim/claude
fi
