# What the guests' scripts share; each starts with `. ./lib.sh`. Commands that fail end the script: it has to say
# where failing is right (`fails COMMAND…`).
set -e
ADDRESS=127.0.0.1:9464

# step TEXT…: what is done now, for the people who wait.
step() { echo "@@step $*"; }

# fail TEXT…: ends the script.
fail() {
  echo "guest: $*" >&2
  exit 1
}

# fact NAME VALUE: something that only shows here, for the table of expectations ({NAME} there).
fact() { echo "$1=$2" >>/host/out/facts; }

# fails COMMAND…: runs a command that has to fail.
fails() { if "$@"; then fail "did not fail: $*"; fi; }

# await COMMAND…: until it succeeds, half a minute at most.
await() {
  tries=150
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail "waited in vain: $*"
    sleep 0.2
  done
}

# there NODE…: waits for a device node.
there() { for node in "$@"; do await test -e "$node"; done; }

# trace RUN [OPTION…]: starts iotrail and waits until it traces. What it exports becomes /host/out/RUN.jsonl.
trace() {
  run=$1
  shift
  step "$run: iotrail run $*"
  ./iotrail run --listen $ADDRESS --payload full --export "file:/tmp/$run.jsonl" --report "/tmp/$run.report.json" "$@" >"/tmp/$run.log" 2>&1 &
  tracer=$!
  tries=600
  until wget -q -O /dev/null "http://$ADDRESS/health/ready" 2>/dev/null; do
    tries=$((tries - 1))
    if [ $tries = 0 ] || ! kill -0 $tracer 2>/dev/null; then
      cat "/tmp/$run.log" >&2
      fail "iotrail does not trace"
    fi
    sleep 0.2
  done
}

# untrace: ends iotrail and hands over what it made.
untrace() {
  kill -INT "$tracer"
  ended=0
  wait "$tracer" || ended=$?
  cp "/tmp/$run.jsonl" "/tmp/$run.report.json" "/tmp/$run.log" /host/out/
  if [ $ended != 0 ]; then
    cat "/tmp/$run.log" >&2
    fail "iotrail ended with status $ended"
  fi
}
