. ./lib.sh
there /dev/snd/pcmC0D0p
trace sound --device sound
arecord -D hw:0,1,0 -f S16_LE -r 8000 -c 1 -d 1 /tmp/heard.wav &
sleep 1
aplay -D hw:0,0,0 -f S16_LE -r 8000 -c 1 -d 3 /dev/zero
wait $!
test -s /tmp/heard.wav || fail "nothing recorded"
untrace
