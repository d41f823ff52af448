module iotrail/clients

go 1.19

require (
	github.com/coder/websocket v1.8.12
	github.com/eclipse/paho.mqtt.golang v1.4.3
	github.com/rabbitmq/amqp091-go v1.9.0
)

require (
	github.com/gorilla/websocket v1.5.0 // indirect
	golang.org/x/net v0.8.0 // indirect
	golang.org/x/sync v0.1.0 // indirect
)
