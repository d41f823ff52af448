// Package common is what the Go clients share: the command line and the log of `src/lib.rs`.
package common

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Options is the command line: publish, or subscribe.
type Options struct {
	Port                               int
	ID, CA, Way, What                  string
	To, Messages, From, Group string
	Period                             float64
	Held                               bool
	Count                              int
}

// Parse reads the command line, or ends the program.
func Parse() Options {
	var given Options
	flag.IntVar(&given.Port, "port", 0, "")
	flag.StringVar(&given.ID, "id", "", "")
	flag.StringVar(&given.CA, "ca", "", "")
	flag.StringVar(&given.Way, "way", "", "")
	flag.Parse()
	given.What = flag.Arg(0)
	more := flag.NewFlagSet(given.What, flag.ExitOnError)
	more.StringVar(&given.To, "to", "", "")
	more.StringVar(&given.Messages, "messages", "", "")
	more.Float64Var(&given.Period, "period", 0, "")
	more.BoolVar(&given.Held, "held", false, "")
	more.StringVar(&given.From, "from", "", "")
	more.IntVar(&given.Count, "count", 0, "")
	more.StringVar(&given.Group, "group", "", "")
	Check(more.Parse(flag.Args()[1:]))
	return given
}

// Check ends the program if something failed.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Load calls publish with the bodies to publish, each when it is due.
func Load(given Options, publish func(number int, body []byte)) {
	var sizes []int
	for _, batch := range strings.Split(given.Messages, ",") {
		count, size, _ := strings.Cut(batch, "x")
		times, err := strconv.Atoi(count)
		Check(err)
		length, err := strconv.Atoi(size)
		Check(err)
		for ; times > 0; times-- {
			sizes = append(sizes, length)
		}
	}
	input := bufio.NewReader(os.Stdin)
	due := time.Now()
	for number, size := range sizes {
		if given.Held && (number == 0 || number == len(sizes)/2) {
			_, err := input.ReadString('\n')
			Check(err)
		}
		if given.Period > 0 {
			time.Sleep(time.Until(due))
			due = due.Add(time.Duration(given.Period * float64(time.Millisecond)))
		}
		publish(number, body(given.ID, number, size))
	}
}

// body begins with its name, as `message.rs` makes it.
func body(name string, number, size int) []byte {
	text := []byte(fmt.Sprintf("%s-%06d", name, number))
	if size <= len(text) {
		return text
	}
	text = append(text, ' ')
	return append(text, bytes.Repeat([]byte("."), max(size-len(text), 0))...)
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}

// Head is the first word of a body.
func Head(body []byte) string {
	if len(body) > 64 {
		body = body[:64]
	}
	head, _, _ := bytes.Cut(body, []byte(" "))
	return string(head)
}

// Ready says that the connection or subscription stands.
func Ready() {
	fmt.Println("ready")
}

// Log logs a message.
func Log(destination string, body []byte, id string) {
	fmt.Println(destination, len(body), Head(body), id)
}
