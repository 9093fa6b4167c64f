#!/usr/bin/env bash
# Installs what the tests need, then runs all of them on one Python and a quick part on every other at hand.
# Usage: bash tests/all.sh        (PYTHON=python3.12 bash tests/all.sh to choose the first)
set -euo pipefail
cd "$(dirname "$0")/.."

newest_sound=3.14 oldest=3.11
export PYTHONWARNINGS= PIP_DISABLE_PIP_VERSION_CHECK=1 SPEECHCMP_REQUIRE_MARIADB=1

need_system_packages() {
    local missing=()
    command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || missing+=(ffmpeg)
    command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || missing+=(mariadb-server)
    [ ${#missing[@]} -gt 0 ] || return 0
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "The tests need ${missing[*]}: install with 'sudo apt-get install ${missing[*]}'," \
            "or 'brew install ${missing[*]/mariadb-server/mariadb}' on macOS, and run this again." >&2
        exit 1
    fi
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# Prints "version path" for each Python from $oldest to $newest_sound, the preferred one first.
find_pythons() {
    local candidate version seen=" "
    for candidate in "${PYTHON:-python3}" python3.{11..14} "$HOME"/.pyenv/versions/3.{11..14}.*/bin/python; do
        version=$(version_of "$candidate") || continue
        [[ $seen == *" $version "* ]] && continue
        [ "$(printf '%s\n' "$oldest" "$version" "$newest_sound" | sort -V | sed -n 2p)" = "$version" ] || continue
        seen+="$version "
        echo "$version $candidate"
    done
}

prepare() { # VERSION PYTHON: a fresh environment with the package as a user would install it
    local home=.venv-test/$1
    "$2" -m venv --clear "$home"
    "$home/bin/pip" install -q ".[dev]"
}

need_system_packages
pythons=$(find_pythons)
[ -n "$pythons" ] || { echo "No Python from $oldest to $newest_sound found; install one." >&2; exit 1; }
first=1
while read -r version python; do
    echo "== Python $version"
    prepare "$version" "$python"
    bin=.venv-test/$version/bin
    if [ -n "$first" ]; then
        "$bin/ruff" check .
        "$bin/ruff" format --check .
        "$bin/mypy"
        "$bin/pytest" -q --durations=8
        first=
    else
        "$bin/pytest" -q -m "not slow"
    fi
done <<<"$pythons"
