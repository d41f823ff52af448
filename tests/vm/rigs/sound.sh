. ./lib.sh
there /dev/snd/controlC0 /dev/snd/pcmC0D0p /dev/snd/pcmC0D1c
trace sound --device sound
# A second each, 8000 frames.
watched record /dev/snd/pcmC0D1c arecord -D hw:0,1,0 -f S16_LE -r 8000 -c 1 -d 1 /tmp/heard.wav
watched play /dev/snd/pcmC0D0p aplay -D hw:0,0,0 -f S16_LE -r 8000 -c 1 -d 1 /dev/zero
# Two bytes each, behind the header.
[ "$(wc -c </tmp/heard.wav)" = 16044 ] || fail "not a second recorded"
watched dry /dev/snd/pcmC0D0p ./pcm /dev/snd/pcmC0D0p >/tmp/dry.said
watched list /dev/snd/controlC0 amixer -c 0 controls >/tmp/controls.said
watched set /dev/snd/controlC0 amixer -c 0 cset iface=PCM,name='PCM Notify' on
watched get /dev/snd/controlC0 amixer -c 0 cget iface=PCM,name='PCM Notify'
refused none /dev/snd/controlC0 amixer -c 0 cget numid=9999
untrace
facts /tmp/dry.said
fact notify "$(sed -n "s/^numid=\([0-9]*\),.*PCM Notify.*/\1/p" /tmp/controls.said | head -n 1)"
