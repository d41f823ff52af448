// AMQP 0-9-1 on RabbitMQ's own library for Go. Command line, ways and log as `client_amqp`.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"iotrail/clients/common"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// Deliveries that the broker sends ahead.
	prefetch = 20
	// Deliveries that one acknowledgement settles in the way `multiple`.
	atOnce = 5
)

func main() {
	given := common.Parse()
	config := amqp.Config{Properties: amqp.Table{"connection_name": given.ID}, Locale: "en_US"}
	url := fmt.Sprintf("amqp://127.0.0.1:%d/", given.Port)
	if given.CA != "" {
		authority, err := os.ReadFile(given.CA)
		common.Check(err)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(authority)
		config.TLSClientConfig = &tls.Config{RootCAs: roots}
		url = fmt.Sprintf("amqps://localhost:%d/", given.Port)
	}
	connection, err := amqp.DialConfig(url, config)
	common.Check(err)
	channel, err := connection.Channel()
	common.Check(err)
	if given.What == "publish" {
		publish(channel, given)
	} else {
		subscribe(channel, given)
	}
	common.Check(channel.Close())
	common.Check(connection.Close())
}

func publish(channel *amqp.Channel, given common.Options) {
	exchange, key, _ := strings.Cut(given.To, ":")
	confirms := given.Way != "plain"
	if confirms {
		common.Check(channel.Confirm(false))
	}
	common.Ready()
	var last []*amqp.DeferredConfirmation
	common.Load(given, func(number int, body []byte) {
		common.Log(given.To, body, fmt.Sprint(number+1))
		message := amqp.Publishing{MessageId: common.Head(body), Body: body}
		confirm, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), exchange, key, false, false, message)
		common.Check(err)
		if confirms {
			last = append(last, confirm)
		}
	})
	for _, confirm := range last {
		if !confirm.Wait() {
			common.Check(fmt.Errorf("refused"))
		}
	}
}

func subscribe(channel *amqp.Channel, given common.Options) {
	parts := strings.SplitN(given.From, ":", 3)
	exchange, key, queue := parts[0], parts[1], parts[2]
	_, err := channel.QueueDeclare(queue, false, false, false, false, nil)
	common.Check(err)
	if exchange != "" {
		common.Check(channel.ExchangeDeclare(exchange, "topic", false, false, false, false, nil))
		common.Check(channel.QueueBind(queue, key, exchange, false, nil))
	}
	common.Check(channel.Qos(prefetch, 0, false))
	none, multiple := given.Way == "none", given.Way == "multiple"
	deliveries, err := channel.Consume(queue, "", none, false, false, false, nil)
	common.Check(err)
	common.Ready()
	for seen := 1; seen <= given.Count; seen++ {
		delivery, ok := <-deliveries
		if !ok {
			common.Check(fmt.Errorf("the consumer was cancelled"))
		}
		to := fmt.Sprintf("%s:%s:%s", delivery.Exchange, delivery.RoutingKey, queue)
		common.Log(to, delivery.Body, fmt.Sprint(delivery.DeliveryTag))
		if !none && (!multiple || seen%atOnce == 0 || seen == given.Count) {
			common.Check(delivery.Ack(multiple))
		}
	}
}
