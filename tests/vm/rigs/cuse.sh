. ./lib.sh
# The majors of i2c-dev and spidev.
./cusebus i2c 89 7 i2c-7 &
./cusebus spi 153 256 spidev9.0 &
there /dev/i2c-7 /dev/spidev9.0
trace cuse --device /dev/i2c-7 --device /dev/spidev9.0 --hooks raw
watched i2c /dev/i2c-7 ./i2ctest /dev/i2c-7 10
watched i2c32 /dev/i2c-7 ./i2ctest32 /dev/i2c-7 10
watched spi /dev/spidev9.0 ./spitest /dev/spidev9.0
watched spi32 /dev/spidev9.0 ./spitest32 /dev/spidev9.0
untrace
