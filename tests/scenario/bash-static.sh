#!/bin/bash
# Shows what bash.sh shows, of a bash that is linked static.
command -v bash-static >/dev/null || {
  echo "SKIPPED: no bash-static here"
  exit 77
}
scenario_shell=bash-static
. "$(dirname "$0")/bash.sh"
