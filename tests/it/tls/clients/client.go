// A client on Go's crypto/tls: subscribes to a topic and publishes to it.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strconv"
)

func text(words string) []byte {
	return append([]byte{byte(len(words) >> 8), byte(len(words))}, words...)
}

func main() {
	if len(os.Args) != 5 {
		return
	}
	port, name, authority := os.Args[1], os.Args[2], os.Args[4]
	count, _ := strconv.Atoi(os.Args[3])
	pem, err := os.ReadFile(authority)
	check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	connection, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: pool})
	check(err)
	packets := make(chan byte)
	go func() {
		for {
			head := make([]byte, 2)
			if _, err := io.ReadFull(connection, head); err != nil {
				close(packets)
				return
			}
			_, err := io.ReadFull(connection, make([]byte, head[1]))
			check(err)
			packets <- head[0] >> 4
		}
	}()
	send := func(first byte, parts ...[]byte) {
		body := []byte{}
		for _, part := range parts {
			body = append(body, part...)
		}
		_, err := connection.Write(append([]byte{first, byte(len(body))}, body...))
		check(err)
	}
	await := func(wanted byte) {
		if kind := <-packets; kind != wanted {
			fmt.Fprintln(os.Stderr, "packet of type", kind, "instead of", wanted)
			os.Exit(1)
		}
	}
	topic := text("tls/" + name)
	send(0x10, text("MQTT"), []byte{4, 2, 0, 60}, text(name))
	await(2)
	send(0x82, []byte{0, 1}, topic, []byte{0})
	await(9)
	for number := 0; number < count; number++ {
		send(0x30, topic, []byte(fmt.Sprintf("%s-%d", name, number)))
		await(3)
	}
	send(0xe0)
	connection.Close()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
