. ./lib.sh
step "doctor"
./iotrail doctor --format json >/host/out/doctor.json
for how in auto raw btf no-btf; do
  case $how in
    auto) options= ;;
    no-btf) options=--no-btf ;;
    *) options="--hooks $how" ;;
  esac
  trace $how --device tty $options
  ./line line >/tmp/facts
  untrace
  # Every run is on the same line: the one before is gone.
  cat /tmp/facts >>/host/out/facts
done
