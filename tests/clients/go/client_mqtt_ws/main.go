// MQTT 3.1.1 in compressed WebSockets: Eclipse's library on coder's. Command line and log as `client_amqp`.
//
// Ways: `takeover` (messages may refer to those before them), `alone`, `plain` (nothing is compressed), each with `-QOS`.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"iotrail/clients/common"

	"github.com/coder/websocket"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func main() {
	given := common.Parse()
	way, level, _ := strings.Cut(given.Way, "-")
	var qos byte
	if level == "1" {
		qos = 1
	}
	modes := map[string]websocket.CompressionMode{
		"takeover": websocket.CompressionContextTakeover,
		"alone":    websocket.CompressionNoContextTakeover,
		"plain":    websocket.CompressionDisabled,
	}
	done := make(chan struct{})
	options := mqtt.NewClientOptions().AddBroker(fmt.Sprintf("ws://127.0.0.1:%d/ws", given.Port))
	options.SetClientID(given.ID).SetProtocolVersion(4).SetAutoReconnect(false).SetOrderMatters(true)
	options.SetCustomOpenConnectionFn(func(uri *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		how := &websocket.DialOptions{
			Subprotocols:    []string{"mqtt"},
			CompressionMode: modes[way],
			// Also of short ones.
			CompressionThreshold: 1,
		}
		connection, answer, err := websocket.Dial(context.Background(), uri.String(), how)
		if err != nil {
			return nil, err
		}
		if compressed(answer) != (way != "plain") {
			return nil, fmt.Errorf("the broker agreed on %q", answer.Header["Sec-Websocket-Extensions"])
		}
		connection.SetReadLimit(-1)
		return websocket.NetConn(context.Background(), connection, websocket.MessageBinary), nil
	})
	client := mqtt.NewClient(options)
	wait(client.Connect())
	if given.What == "publish" {
		common.Ready()
		var last []mqtt.Token
		common.Load(given, func(_ int, body []byte) {
			common.Log(given.To, body, "-")
			last = append(last, client.Publish(given.To, qos, false, body))
		})
		for _, token := range last {
			wait(token)
		}
	} else {
		seen := 0
		wait(client.Subscribe(given.From, qos, func(_ mqtt.Client, message mqtt.Message) {
			common.Log(message.Topic(), message.Payload(), "-")
			if seen++; seen == given.Count {
				close(done)
			}
		}))
		common.Ready()
		<-done
	}
	// The library sends the last acknowledgement after the handler's return.
	time.Sleep(200 * time.Millisecond)
	client.Disconnect(250)
}

func compressed(answer *http.Response) bool {
	return strings.Contains(answer.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
}

func wait(token mqtt.Token) {
	token.Wait()
	common.Check(token.Error())
}
