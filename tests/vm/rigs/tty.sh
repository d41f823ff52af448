. ./lib.sh
step "doctor"
./iotrail doctor --format json >/host/out/doctor.json
# Without one, `auto` would look for 32-bit programs only once the first has begun.
./idle32 &
for how in auto raw btf no-btf; do
  case $how in
    auto) options= ;;
    no-btf) options=--no-btf ;;
    *) options="--hooks $how" ;;
  esac
  trace $how --device tty $options
  ./line
  ./line32
  untrace
done
