# What the guests' scripts share; each starts with `. ./lib.sh`. A command that fails ends the script.
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

# facts FILE: NAME=VALUE lines that a program wrote.
facts() { grep -E '^[a-z_]+=' "$1" >>/host/out/facts; }

# place FOLDER: where a device of sysfs is plugged in, as identities say it: bus and address of its parent.
place() {
  local parent
  parent=$(readlink -f "$1/device")
  echo "$(basename "$(readlink -f "$parent/subsystem")"):$(basename "$parent")"
}

# await COMMAND…: until it succeeds, half a minute at most.
await() {
  local tries=150
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail "waited in vain: $*"
    sleep 0.2
  done
}

# there NODE…: waits for a device node.
there() {
  local wanted
  for wanted in "$@"; do await test -e "$wanted"; done
}

# trace RUN [OPTION…]: starts iotrail and waits until it traces. What it exports becomes /host/out/RUN.jsonl.
trace() {
  run=$1
  shift
  step "$run: iotrail run $*"
  ./iotrail run --listen $ADDRESS --payload full --export "file:/tmp/$run.jsonl" --report "/tmp/$run.report.json" "$@" >"/tmp/$run.log" 2>&1 &
  tracer=$!
  local tries=1500
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
  local ended=0
  kill -INT "$tracer"
  wait "$tracer" || ended=$?
  cp "/tmp/$run.jsonl" "/tmp/$run.report.json" "/tmp/$run.log" /host/out/
  if [ $ended != 0 ]; then
    cat "/tmp/$run.log" >&2
    fail "iotrail ended with status $ended"
  fi
}

# watched NAME NODE COMMAND…: runs a command, which must not fail, and says as facts what strace saw it do to the node: NAME.ioctl,
# NAME.read and NAME.write (relatives included), NAME.all, each without the calls that found nothing; NAME.ERRNO for each
# error; NAME.COMMAND for each ioctl that strace has a name for. So the table need not know how often a tool asks.
watched() { observe "$@" || fail "status $?: $*"; }

# refused NAME NODE COMMAND…: the same for a command that has to fail.
refused() { if observe "$@"; then fail "did not fail: $*"; fi; }

# puppet NAME NODE COMMAND…: runs a command in the background, `watched`, that does what `tell` says and says `done` after it
# began and after each word; until `release`, which says `end`.
puppet() {
  said=/tmp/said.$1
  told=1
  rm -f /tmp/orders
  mkfifo /tmp/orders
  watched "$@" </tmp/orders >"$said" &
  puppet=$!
  exec 3>/tmp/orders
  await has_done $told
}

# tell WORD: makes the puppet do something, and waits until it has.
tell() {
  told=$((told + 1))
  echo "$1" >&3
  await has_done $told
}

release() {
  # Not the end of its input: what was started since has that open as well.
  echo end >&3
  wait "$puppet"
}

has_done() { [ "$(grep -c '^done$' "$said")" = "$1" ]; }

# instrument NODE: answers on a serial line, in the background, as long as there is that: `*IDN?` and `MEAS:VOLT?`.
instrument() {
  stty -F "$1" raw -echo
  while read -r question; do
    case $question in
      '*IDN?') echo "iotrail,M1,SN-1,1.0" ;;
      'MEAS:VOLT?') echo "1.25" ;;
    esac
  done <"$1" >"$1" &
  instrument=$!
}

observe() {
  local name=$1 node=$2 status=0 call
  shift 2
  step "$run: $*"
  strace -f -qq -y -o "/tmp/strace.$name" \
    -e trace=ioctl,read,readv,pread64,preadv,write,writev,pwrite64,pwritev "$@" || status=$?
  cp "/tmp/strace.$name" "/host/out/$name.strace"
  awk -v node="<$node>" -v name="$name" '
    index($0, node) && !/EAGAIN|ERESTART/ {
      call = $0
      sub(/^[0-9]+ +/, "", call)
      command = call
      sub(/\(.*/, "", call)
      sub(/^p?readv?(64)?$/, "read", call)
      sub(/^p?writev?(64)?$/, "write", call)
      count["all"]++
      count[call]++
      if (call == "ioctl") {
        sub(/^[^,]*, /, "", command)
        sub(/[^A-Z0-9_].*/, "", command)
        if (command != "" && command != "_IOC") count[command]++
      }
      if (match($0, /= -1 E[A-Z0-9]+/)) count[substr($0, RSTART + 5, RLENGTH - 5)]++
    }
    END {
      for (key in count) print name "." key "=" count[key]
    }' "/tmp/strace.$name" >"/tmp/facts.$name"
  grep -q . "/tmp/facts.$name" || fail "strace saw nothing of $node in: $*"
  cat "/tmp/facts.$name" >>/host/out/facts
  for call in ioctl read write; do
    grep -q "^$name\.$call=" "/tmp/facts.$name" || fact "$name.$call" 0
  done
  return $status
}

# broker LINE…: starts Mosquitto with these lines of configuration, and waits until it runs.
broker() {
  {
    printf '%s\n' 'allow_anonymous true' 'persistence false' 'user root' 'max_inflight_messages 0' 'max_queued_messages 0'
    printf '%s\n' 'log_type subscribe' 'log_type error' 'log_type notice' 'log_type information' 'log_dest stderr' "$@"
  } >/tmp/mosquitto.conf
  mosquitto -c /tmp/mosquitto.conf 2>/tmp/mosquitto.log &
  await grep -q 'running$' /tmp/mosquitto.log
}

# subscribed ID: waits until the broker says that this client's subscription stands.
subscribed() { await grep -q ": $1 [0-2] " /tmp/mosquitto.log; }

# finished PROCESS…: each has to end well.
finished() {
  local process
  for process in "$@"; do wait "$process" || fail "status $? of a client"; done
}

# numbered TEXT COUNT: lines TEXT-0001, TEXT-0002, …
numbered() { awk -v text="$1" -v count="$2" 'BEGIN { for (at = 1; at <= count; at++) printf "%s-%04d\n", text, at }'; }
