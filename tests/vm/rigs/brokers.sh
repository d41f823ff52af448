. ./lib.sh
broker 'listener 1883 127.0.0.1'

# conversation: twenty messages of each quality of service, to a subscriber each.
conversation() {
  local qos clients=
  for qos in 0 1 2; do
    mosquitto_sub -i "sub$qos$run" -q $qos -t plant/$qos -C 20 >/tmp/got.$qos &
    clients="$clients $!"
    subscribed "sub$qos$run"
  done
  for qos in 0 1 2; do
    step "$run: mosquitto_pub with quality of service $qos"
    numbered "$run-$qos" 20 >/tmp/given.$qos
    mosquitto_pub -i "pub$qos$run" -q $qos -t plant/$qos -l </tmp/given.$qos
  done
  finished $clients
  for qos in 0 1 2; do
    cmp /tmp/given.$qos /tmp/got.$qos || fail "the subscriber got something else"
  done
}

for how in btf no-btf; do
  case $how in
    btf) options= ;;
    no-btf) options=--no-btf ;;
  esac
  trace $how --broker mqtt:1883 $options
  conversation
  untrace
done

# The broker's end alone would show these as well: that the client's does is what is asked.
trace files --broker mqtt:1883 --comm files
for way in sendfile splice; do
  step "$run: $way"
  ./files $way 1883
done
untrace

socat PTY,link=/tmp/line,raw,echo=0 SYSTEM:'while read -r question; do echo reading; done' &
there /tmp/line
line=$(readlink /tmp/line)
fact line "$line"
# The instrument may have to wait for the processor.
trace uring --reply-timeout 60s --broker mqtt:1883 --device "$line" --comm client_uring
for way in plain sqpoll; do
  step "$run: $way"
  echo | ./client_uring $way 1883 "$line" 10
done
untrace
