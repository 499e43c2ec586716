#!/usr/bin/env bash
# Installs the packages of the lock file. npm itself is the one thing taken from the machine: everything after this runs on the locked Node.
set -euo pipefail
cd "$(dirname "$0")/.."
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64 | Linux-aarch64) ;;
  *) echo "error: this needs Linux on x86_64 or aarch64; this machine is $(uname -s) $(uname -m)" >&2; exit 2 ;;
esac
if ! command -v npm >/dev/null; then
  echo "error: npm is missing. Debian: apt-get install npm. It is only used to fetch the packages of package-lock.json, Node included." >&2
  exit 2
fi
start=$SECONDS
echo "installing the packages of package-lock.json …"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! npm ci --ignore-scripts --no-audit --no-fund >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "error: npm ci failed. If the registry did not answer, run the same command again; nothing is half installed." >&2
  rm -rf node_modules
  exit 2
fi
echo "installed in $((SECONDS - start)) s"
