//! The one home of every attribute key and metric name that iotrail promises.

/// Attribute keys of spans.
pub mod attribute {
    /// Stable identity of a device.
    pub const DEVICE_ID: &str = "iotrail.device.id";
    /// Class of a device: `tty`, `i2c`, …
    pub const DEVICE_CLASS: &str = "iotrail.device.class";
    /// Path of the node.
    pub const DEVICE_PATH: &str = "iotrail.device.path";
    /// Command without arguments.
    pub const DEVICE_COMMAND: &str = "iotrail.device.command";
    /// Driver that is bound to the device.
    pub const DEVICE_DRIVER: &str = "iotrail.device.driver";
    /// Bus that the device sits on: `usb`, `pci`, `platform`, …
    pub const DEVICE_BUS: &str = "iotrail.device.bus";
    /// Where on that bus.
    pub const DEVICE_ADDRESS: &str = "iotrail.device.address";
    /// The maker's number, four hex digits.
    pub const DEVICE_VENDOR_ID: &str = "iotrail.device.vendor_id";
    /// The maker's number of the product, four hex digits.
    pub const DEVICE_PRODUCT_ID: &str = "iotrail.device.product_id";
    /// The maker's name.
    pub const DEVICE_VENDOR: &str = "iotrail.device.vendor";
    /// What the hardware calls itself.
    pub const DEVICE_MODEL: &str = "iotrail.device.model";
    /// Number of the single piece (hidden with `--hash-ids`).
    pub const DEVICE_SERIAL: &str = "iotrail.device.serial";
    /// What the driver calls the device: an adapter's name, a chip's label.
    pub const DEVICE_NAME: &str = "iotrail.device.name";
    /// Prefix of a command's arguments.
    pub const DEVICE_ARGS: &str = "iotrail.device.args.";
    /// `text`, `json` or `binary`.
    pub const PAYLOAD_TYPE: &str = "iotrail.payload.type";
    /// Bytes there were.
    pub const PAYLOAD_SIZE: &str = "iotrail.payload.size";
    /// Bytes that were captured.
    pub const PAYLOAD_CAPTURED: &str = "iotrail.payload.captured";
    /// Keyed digest of the captured bytes, hex.
    pub const PAYLOAD_DIGEST: &str = "iotrail.payload.digest";
    /// The bytes, where asked for and valid UTF-8.
    pub const PAYLOAD_TEXT: &str = "iotrail.payload.text";
    /// The bytes, where asked for and not UTF-8.
    pub const PAYLOAD_HEX: &str = "iotrail.payload.hex";
    /// How many stretches of the bytes masks (`--mask`) hide.
    pub const PAYLOAD_MASKED: &str = "iotrail.payload.masked";
    /// As `iotrail.payload.type`, of a device's answer.
    pub const REPLY_TYPE: &str = "iotrail.reply.type";
    /// As `iotrail.payload.size`, of a device's answer.
    pub const REPLY_SIZE: &str = "iotrail.reply.size";
    /// As `iotrail.payload.captured`, of a device's answer.
    pub const REPLY_CAPTURED: &str = "iotrail.reply.captured";
    /// As `iotrail.payload.digest`, of a device's answer.
    pub const REPLY_DIGEST: &str = "iotrail.reply.digest";
    /// As `iotrail.payload.text`, of a device's answer.
    pub const REPLY_TEXT: &str = "iotrail.reply.text";
    /// As `iotrail.payload.hex`, of a device's answer.
    pub const REPLY_HEX: &str = "iotrail.reply.hex";
    /// As `iotrail.payload.masked`, of a device's answer.
    pub const REPLY_MASKED: &str = "iotrail.reply.masked";
    /// Duration of the span, or for a delivery the time from publish to delivery, in ms.
    pub const LATENCY_MS: &str = "iotrail.latency_ms";
    /// Correlation id that the program or protocol carries.
    pub const CORRELATION_ID: &str = "iotrail.correlation_id";
    /// What the parent edge or link rests on, strongest first, joined by `+`.
    pub const LINK_EVIDENCE: &str = "iotrail.link.evidence";
    /// Measured precision of such edges.
    pub const LINK_CONFIDENCE: &str = "iotrail.link.confidence";
    /// `broker` where only the broker's end was seen.
    pub const VIEWPOINT: &str = "iotrail.viewpoint";
    /// OpenTelemetry: name of an error's kind.
    pub const ERROR_TYPE: &str = "error.type";
    /// OpenTelemetry messaging.
    pub const MESSAGING_SYSTEM: &str = "messaging.system";
    /// OpenTelemetry messaging.
    pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
    /// OpenTelemetry messaging.
    pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
    /// OpenTelemetry messaging.
    pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
    /// OpenTelemetry messaging.
    pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
    /// OpenTelemetry messaging.
    pub const MESSAGING_MESSAGE_BODY_SIZE: &str = "messaging.message.body.size";
    /// OpenTelemetry messaging.
    pub const MESSAGING_CLIENT_ID: &str = "messaging.client.id";
    /// OpenTelemetry messaging: the consumer group, queue group or shared subscription through which a message was delivered.
    pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
    /// OpenTelemetry messaging.
    pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
    /// OpenTelemetry messaging.
    pub const MESSAGING_DESTINATION_PARTITION_ID: &str = "messaging.destination.partition.id";
    /// OpenTelemetry messaging, Kafka.
    pub const MESSAGING_KAFKA_MESSAGE_KEY: &str = "messaging.kafka.message.key";
    /// OpenTelemetry messaging, Kafka.
    pub const MESSAGING_KAFKA_MESSAGE_TOMBSTONE: &str = "messaging.kafka.message.tombstone";
    /// OpenTelemetry messaging, Kafka.
    pub const MESSAGING_KAFKA_OFFSET: &str = "messaging.kafka.offset";
    /// Of a delivery: messages in its partition behind it, when the broker sent it.
    pub const KAFKA_LAG: &str = "iotrail.kafka.lag";
    /// Of a delivery to a share group: how often the message has been delivered to it by then, this time included.
    pub const KAFKA_DELIVERY_COUNT: &str = "iotrail.kafka.delivery_count";
    /// Of a publish: the transaction that it is part of, as its producer calls it (`transactional.id`).
    pub const KAFKA_TRANSACTION: &str = "iotrail.kafka.transaction";
    /// MQTT quality of service, 0 to 2.
    pub const MQTT_QOS: &str = "iotrail.mqtt.qos";
    /// MQTT retained flag.
    pub const MQTT_RETAIN: &str = "iotrail.mqtt.retain";
    /// MQTT duplicate flag.
    pub const MQTT_DUP: &str = "iotrail.mqtt.dup";
    /// MQTT 5: MIME type of the body, as the sender says.
    pub const MQTT_CONTENT_TYPE: &str = "iotrail.mqtt.content_type";
    /// MQTT 5: topic on which an answer is wanted.
    pub const MQTT_RESPONSE_TOPIC: &str = "iotrail.mqtt.response_topic";
    /// MQTT 5: seconds after which the message is void.
    pub const MQTT_MESSAGE_EXPIRY: &str = "iotrail.mqtt.message_expiry_interval";
    /// MQTT 5: 1 if the sender says that the body is UTF-8.
    pub const MQTT_PAYLOAD_FORMAT: &str = "iotrail.mqtt.payload_format_indicator";
    /// MQTT 5: identifiers of the subscriptions through which the message came.
    pub const MQTT_SUBSCRIPTION_IDS: &str = "iotrail.mqtt.subscription_identifiers";
    /// MQTT 5: number that stands for the topic on this connection.
    pub const MQTT_TOPIC_ALIAS: &str = "iotrail.mqtt.topic_alias";
    /// MQTT 5: seconds that the broker waits with a last will.
    pub const MQTT_WILL_DELAY: &str = "iotrail.mqtt.will_delay_interval";
    /// OpenTelemetry messaging: what the messages of one conversation have in common.
    pub const MESSAGING_CONVERSATION_ID: &str = "messaging.message.conversation_id";
    /// OpenTelemetry messaging, RabbitMQ.
    pub const RABBITMQ_ROUTING_KEY: &str = "messaging.rabbitmq.destination.routing_key";
    /// OpenTelemetry messaging, RabbitMQ.
    pub const RABBITMQ_DELIVERY_TAG: &str = "messaging.rabbitmq.message.delivery_tag";
    /// Whether RabbitMQ delivers the message again.
    pub const RABBITMQ_REDELIVERED: &str = "iotrail.rabbitmq.redelivered";
    /// AMQP: exchange of a delivery, or that a request is about or binds to a queue.
    pub const RABBITMQ_EXCHANGE: &str = "iotrail.rabbitmq.exchange";
    /// AMQP: queue of a delivery, or that a request is about.
    pub const RABBITMQ_QUEUE: &str = "iotrail.rabbitmq.queue";
    /// AMQP: type of the exchange that is declared.
    pub const RABBITMQ_EXCHANGE_TYPE: &str = "iotrail.rabbitmq.exchange.type";
    /// RabbitMQ: how often a dead-lettered message died so the last time, from its `x-death`.
    pub const RABBITMQ_DEATH_COUNT: &str = "iotrail.rabbitmq.x_death.count";
    /// RabbitMQ: why it died the last time: `rejected`, `expired`, `maxlen`, `delivery_limit`.
    pub const RABBITMQ_DEATH_REASON: &str = "iotrail.rabbitmq.x_death.reason";
    /// RabbitMQ: in which queue it died the last time.
    pub const RABBITMQ_DEATH_QUEUE: &str = "iotrail.rabbitmq.x_death.queue";
    /// RabbitMQ: through which exchange it had come there.
    pub const RABBITMQ_DEATH_EXCHANGE: &str = "iotrail.rabbitmq.x_death.exchange";
    /// OpenTelemetry messaging: whether the destination is made for one exchange.
    pub const MESSAGING_DESTINATION_TEMPORARY: &str = "messaging.destination.temporary";
    /// JetStream: the stream that keeps the message.
    pub const NATS_STREAM: &str = "iotrail.nats.stream";
    /// JetStream: the consumer that it came through.
    pub const NATS_CONSUMER: &str = "iotrail.nats.consumer";
    /// JetStream: how often it was delivered to this consumer, this time included.
    pub const NATS_DELIVERED: &str = "iotrail.nats.delivered";
    /// OpenTelemetry: the broker's address.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// OpenTelemetry: the broker's port.
    pub const SERVER_PORT: &str = "server.port";
    /// Bus of a transaction: `i2c`, `spi`, `scsi`, …
    pub const BUS: &str = "iotrail.bus";
    /// Messages of an I2C transfer.
    pub const BUS_MESSAGES: &str = "iotrail.bus.messages";
    /// Bytes of a request to a block device.
    pub const BUS_BYTES: &str = "iotrail.bus.bytes";
    /// Whether the plaintext of an encrypted connection was had.
    pub const TLS_READABLE: &str = "iotrail.tls.readable";
    /// Calls that moved bytes of an encrypted connection inwards.
    pub const TLS_READ_CALLS: &str = "iotrail.tls.read_calls";
    /// The bytes, as they are on the wire.
    pub const TLS_READ_BYTES: &str = "iotrail.tls.read_bytes";
    /// Calls that moved bytes of an encrypted connection outwards.
    pub const TLS_WRITE_CALLS: &str = "iotrail.tls.write_calls";
    /// The bytes, as they are on the wire.
    pub const TLS_WRITE_BYTES: &str = "iotrail.tls.write_bytes";
    /// OpenTelemetry: the thread.
    pub const THREAD_ID: &str = "thread.id";
    /// Type of a CloudEvent.
    pub const EVENT_TYPE: &str = "event.type";
    /// Source of a CloudEvent.
    pub const EVENT_SOURCE: &str = "event.source";
    /// Id of a CloudEvent.
    pub const EVENT_ID: &str = "event.id";
    /// Subject of a CloudEvent.
    pub const EVENT_SUBJECT: &str = "event.subject";
}

/// Attribute keys of resources.
pub mod resource {
    /// OpenTelemetry: the service.
    pub const SERVICE_NAME: &str = "service.name";
    /// OpenTelemetry: this instance of it.
    pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
    /// OpenTelemetry: process id.
    pub const PROCESS_PID: &str = "process.pid";
    /// OpenTelemetry: base name of the executable.
    pub const PROCESS_EXECUTABLE_NAME: &str = "process.executable.name";
    /// OpenTelemetry: command line.
    pub const PROCESS_COMMAND_ARGS: &str = "process.command_args";
    /// OpenTelemetry: the host.
    pub const HOST_NAME: &str = "host.name";
    /// OpenTelemetry: the machine id.
    pub const HOST_ID: &str = "host.id";
    /// OpenTelemetry: the container.
    pub const CONTAINER_ID: &str = "container.id";
}

/// Metric names, as they stand in `/metrics` (counters without the `_total` that the format adds).
pub mod metric {
    /// Device commands.
    pub const PERIPHERAL_COMMAND: &str = "peripheral_command";
    /// Duration of device commands.
    pub const PERIPHERAL_COMMAND_DURATION: &str = "peripheral_command_duration_seconds";
    /// Device commands that failed, by `error.type`.
    pub const PERIPHERAL_COMMAND_ERRORS: &str = "peripheral_command_errors";
    /// Device commands that have begun and not ended.
    pub const PERIPHERAL_COMMANDS_IN_FLIGHT: &str = "peripheral_commands_in_flight";
    /// When the last device command ended, Unix time.
    pub const PERIPHERAL_LAST_COMMAND: &str = "peripheral_last_command_timestamp_seconds";
    /// Unsolicited events of devices.
    pub const PERIPHERAL_EVENT: &str = "peripheral_event";
    /// Bytes that programs got from devices.
    pub const PERIPHERAL_READ_BYTES: &str = "peripheral_read_bytes";
    /// Bytes that programs gave to devices.
    pub const PERIPHERAL_WRITTEN_BYTES: &str = "peripheral_written_bytes";
    /// Duration of drivers' transactions on their buses.
    pub const PERIPHERAL_BUS_DURATION: &str = "peripheral_bus_duration_seconds";
    /// Publish to delivery.
    pub const EVENT_DISPATCH_LATENCY: &str = "event_dispatch_latency_seconds";
    /// Time inside the broker.
    pub const BROKER_RESIDENCE: &str = "message_broker_residence_seconds";
    /// Messages published.
    pub const EVENTS_PUBLISHED: &str = "events_published";
    /// Messages processed.
    pub const EVENTS_PROCESSED: &str = "events_processed";
    /// Time to process a message.
    pub const EVENT_PROCESSING_DURATION: &str = "event_processing_duration_seconds";
    /// Messages whose processing failed.
    pub const EVENT_ERRORS: &str = "event_errors";
    /// Time to publish.
    pub const BROKER_PUBLISH_DURATION: &str = "message_broker_publish_duration_seconds";
    /// Time to consume.
    pub const BROKER_CONSUME_DURATION: &str = "message_broker_consume_duration_seconds";
    /// Failed connections to brokers.
    pub const BROKER_CONNECTION_ERRORS: &str = "message_broker_connection_errors";
    /// OpenTelemetry: duration of a client's operation.
    pub const CLIENT_OPERATION_DURATION: &str = "messaging_client_operation_duration_seconds";
    /// OpenTelemetry: duration of processing.
    pub const PROCESS_DURATION: &str = "messaging_process_duration_seconds";
    /// OpenTelemetry: messages sent.
    pub const CLIENT_SENT_MESSAGES: &str = "messaging_client_sent_messages";
    /// OpenTelemetry: messages consumed.
    pub const CLIENT_CONSUMED_MESSAGES: &str = "messaging_client_consumed_messages";
    /// Tempo: requests between two services.
    pub const SERVICE_GRAPH_REQUEST: &str = "traces_service_graph_request";
    /// Tempo: failed requests between two services.
    pub const SERVICE_GRAPH_REQUEST_FAILED: &str = "traces_service_graph_request_failed";
    /// Tempo: their duration at the server.
    pub const SERVICE_GRAPH_REQUEST_SERVER: &str = "traces_service_graph_request_server_seconds";
    /// Tempo: their duration at the client.
    pub const SERVICE_GRAPH_REQUEST_CLIENT: &str = "traces_service_graph_request_client_seconds";
    /// Tempo: time between the two, where a messaging system lies in between.
    pub const SERVICE_GRAPH_REQUEST_MESSAGING: &str = "traces_service_graph_request_messaging_system_seconds";
    /// Tempo: calls by span.
    pub const SPANMETRICS_CALLS: &str = "traces_spanmetrics_calls";
    /// Tempo: latency by span.
    pub const SPANMETRICS_LATENCY: &str = "traces_spanmetrics_latency";
    /// What passed each stage.
    pub const IOTRAIL_EVENTS: &str = "iotrail_events";
    /// What was lost at each stage, and why.
    pub const IOTRAIL_EVENTS_DROPPED: &str = "iotrail_events_dropped";
    /// What waits in each queue.
    pub const IOTRAIL_QUEUE_DEPTH: &str = "iotrail_queue_depth";
    /// How far the analysis is behind the kernel.
    pub const IOTRAIL_LAG: &str = "iotrail_lag_seconds";
    /// Label sets that were folded into `__overflow__`, by metric.
    pub const IOTRAIL_LABEL_OVERFLOW: &str = "iotrail_label_overflow";
    /// Prometheus: CPU time of iotrail.
    pub const PROCESS_CPU: &str = "process_cpu_seconds";
    /// Prometheus: resident memory of iotrail.
    pub const PROCESS_RESIDENT: &str = "process_resident_memory_bytes";
}
