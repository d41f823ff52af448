. ./lib.sh
# It says then which files are hooked.
export IOTRAIL_LOG=iotrail=debug
step "certificates"
mkdir /tmp/tls
openssl ecparam -name prime256v1 -genkey -noout -out /tmp/tls/ca.key
openssl req -x509 -new -key /tmp/tls/ca.key -days 2 -subj /CN=authority -out /tmp/tls/ca.pem
openssl ecparam -name prime256v1 -genkey -noout -out /tmp/tls/broker.key
openssl req -new -key /tmp/tls/broker.key -subj /CN=localhost -out /tmp/tls/broker.req
printf '%s\n' subjectAltName=DNS:localhost,IP:127.0.0.1 basicConstraints=CA:FALSE >/tmp/tls/extensions
openssl x509 -req -in /tmp/tls/broker.req -CA /tmp/tls/ca.pem -CAkey /tmp/tls/ca.key -CAcreateserial -days 2 \
  -extfile /tmp/tls/extensions -out /tmp/tls/broker.pem 2>/dev/null
ca=/tmp/tls/ca.pem
broker 'listener 8883 127.0.0.1' "cafile $ca" 'certfile /tmp/tls/broker.pem' 'keyfile /tmp/tls/broker.key'

# hooked PROGRAM ARGUMENT…: starts a program that brings its library along against a port where nobody answers, until it is hooked.
hooked() {
  local name=$1
  # Its end of input would end the connection.
  tail -f /dev/null | nc -l -p 8884 >/dev/null &
  sleep 0.5
  "./$@" >/dev/null 2>&1 &
  await grep -q "/$name (.*is seen from now on" "/tmp/$run.log"
  kill $!
}

# packet FIRST REST: a packet of MQTT, whose rest is text with escapes of printf's, in one write.
packet() {
  printf "$2" >/tmp/rest
  printf "$1\\$(printf %o "$(stat -c %s /tmp/rest)")" >/tmp/packet
  cat /tmp/rest >>/tmp/packet
  cat /tmp/packet
}

trace tls --broker mqtt:8883
subscribers=
for qos in 0 1 2; do
  mosquitto_sub -i sub$qos -p 8883 --cafile $ca -q $qos -t tls/$qos -C 10 >/tmp/got.$qos &
  subscribers="$subscribers $!"
  subscribed sub$qos
done
for qos in 0 1 2; do
  step "$run: mosquitto_pub with quality of service $qos"
  numbered "openssl-$qos" 10 >/tmp/given.$qos
  mosquitto_pub -i pub$qos -p 8883 --cafile $ca -q $qos -t tls/$qos -l </tmp/given.$qos
done
finished $subscribers
for qos in 0 1 2; do
  cmp /tmp/given.$qos /tmp/got.$qos || fail "the subscriber got something else"
done

step "$run: SSL_read_ex and SSL_write_ex"
./sslex libssl.so.3 8883 5

step "$run: a message of several records"
head -c 40000 /dev/zero | tr '\0' x >/tmp/large
mosquitto_sub -i large -p 8883 --cafile $ca -t tls/large -C 1 >/tmp/got.large &
subscriber=$!
subscribed large
mosquitto_pub -i largepub -p 8883 --cafile $ca -t tls/large -f /tmp/large
finished $subscriber
echo >>/tmp/large
cmp /tmp/large /tmp/got.large || fail "the subscriber got something else"

step "$run: gnutls-cli"
mkfifo /tmp/typed
gnutls-cli --x509cafile $ca -p 8883 --logfile /host/out/gnutls.log localhost </tmp/typed >/dev/null 2>&1 &
gnutls=$!
exec 4>/tmp/typed
packet '\020' '\000\004MQTT\004\002\000\074\000\006gnutls' >&4
await grep -q 'as gnutls (' /tmp/mosquitto.log
for number in 0 1 2 3 4; do packet '\060' "\\000\\005tls/ggnutls-$number" >&4; done
packet '\340' '' >&4
exec 4>&-
wait $gnutls || true

step "$run: Go"
hooked client 8884 first 1 $ca
./client 8883 go 5 $ca

step "$run: rustls"
hooked client_mqtt --port 8884 --id first --count 1 --ca $ca publish --topic none
./client_mqtt --port 8883 --id rust --qos 1 --count 5 --ca $ca subscribe --topic tls/rust >/tmp/got.rust &
subscriber=$!
subscribed rust
./client_mqtt --port 8883 --id rustpub --qos 1 --count 5 --ca $ca publish --topic tls/rust --size 20000
finished $subscriber
untrace
