/*
 * Kafka on Kafka's own client library. Command line and log as `client_kafka`.
 *
 * Ways to publish: plain, or `transactions`, of five messages each: every second one is aborted. Ways to subscribe, as a member of
 * `--group` that commits what it got: plain; `committed`: what is committed only; `copy=TOPIC`: each message goes on to that topic in
 * a transaction with its offset, named `aborted-…` at the first try of every third one and `copied-…` when it is committed;
 * `share`: as a member of a share group that accepts each message, releases every third one the first time and
 * rejects every fifth.
 */

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class ClientKafka {
    /** Messages of a transaction. */
    static final int TOGETHER = 5;

    static final Map<String, String> given = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        List<String> left = new ArrayList<>(Arrays.asList(arguments));
        boolean held = left.remove("--held");
        boolean publishes = left.remove("publish");
        left.remove("subscribe");
        for (int index = 0; index + 1 < left.size(); index += 2) {
            given.put(left.get(index).substring(2), left.get(index + 1));
        }
        if (publishes) {
            publish(held);
        } else if (given.get("way").equals("share")) {
            share();
        } else {
            subscribe();
        }
    }

    static Properties config() {
        Properties config = new Properties();
        config.put("bootstrap.servers", "127.0.0.1:" + given.get("port"));
        config.put("client.id", given.get("id"));
        // So that who comes late learns the topics' names.
        config.put("metadata.max.age.ms", 200);
        return config;
    }

    static KafkaProducer<byte[], byte[]> producer(boolean transactional) {
        Properties config = config();
        config.put("max.request.size", 4000000);
        if (transactional) {
            config.put("transactional.id", given.get("id"));
        }
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static void publish(boolean held) throws Exception {
        boolean transactional = given.get("way").equals("transactions");
        long period = Long.parseLong(given.getOrDefault("period", "0"));
        List<Integer> sizes = new ArrayList<>();
        for (String batch : given.get("messages").split(",")) {
            String[] parts = batch.split("x");
            sizes.addAll(Collections.nCopies(Integer.parseInt(parts[0]), Integer.parseInt(parts[1])));
        }
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        try (KafkaProducer<byte[], byte[]> producer = producer(transactional)) {
            producer.partitionsFor(given.get("to"));
            if (transactional) {
                producer.initTransactions();
            }
            line("ready");
            long due = System.nanoTime();
            for (int number = 0; number < sizes.size(); number++) {
                if (held && (number == 0 || number == sizes.size() / 2) && input.readLine() == null) {
                    throw new Exception("no standard input");
                }
                if (period > 0) {
                    Thread.sleep(Math.max(0, (due - System.nanoTime()) / 1000000));
                    due += period * 1000000;
                }
                if (transactional && number % TOGETHER == 0) {
                    producer.beginTransaction();
                }
                send(producer, given.get("to"), body(number, sizes.get(number)));
                if (transactional && number % TOGETHER == TOGETHER - 1) {
                    if (number / TOGETHER % 2 == 0) {
                        producer.commitTransaction();
                    } else {
                        producer.abortTransaction();
                    }
                }
            }
        }
    }

    static void send(KafkaProducer<byte[], byte[]> producer, String topic, byte[] body) throws Exception {
        long offset = producer.send(new ProducerRecord<>(topic, 0, null, body)).get().offset();
        log(topic, body, offset);
    }

    static void subscribe() throws Exception {
        String topic = given.get("from");
        String way = given.get("way");
        create(topic);
        Properties config = config();
        config.put("group.id", given.get("group"));
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", false);
        if (!way.isEmpty()) {
            config.put("isolation.level", "read_committed");
        }
        int count = Integer.parseInt(given.get("count"));
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(java.util.Collection<TopicPartition> partitions) {
                    line("ready");
                }

                @Override
                public void onPartitionsRevoked(java.util.Collection<TopicPartition> partitions) {}
            });
            if (way.startsWith("copy=")) {
                copy(consumer, way.substring("copy=".length()), count);
                return;
            }
            for (int seen = 0; seen < count; ) {
                var records = consumer.poll(Duration.ofMillis(200));
                for (var record : records) {
                    log(topic, record.value(), record.offset());
                }
                if (!records.isEmpty()) {
                    consumer.commitSync();
                }
                seen += records.count();
            }
        }
    }

    /** Each message in a transaction of its own; after an abort it is fetched again. */
    static void copy(KafkaConsumer<byte[], byte[]> consumer, String to, int count) throws Exception {
        create(to);
        try (KafkaProducer<byte[], byte[]> producer = producer(true)) {
            producer.initTransactions();
            boolean again = false;
            for (int seen = 0; seen < count; ) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    log(record.topic(), record.value(), record.offset());
                    boolean good = again || seen % 3 != 2;
                    TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                    producer.beginTransaction();
                    String name = (good ? "copied-" : "aborted-") + new String(record.value());
                    send(producer, to, name.getBytes());
                    producer.sendOffsetsToTransaction(
                            Map.of(partition, new OffsetAndMetadata(record.offset() + 1)), consumer.groupMetadata());
                    again = !good;
                    if (good) {
                        producer.commitTransaction();
                        seen++;
                    } else {
                        producer.abortTransaction();
                        consumer.seek(partition, record.offset());
                        break;
                    }
                }
            }
        }
    }

    /** What is settled goes to the log as `accept`, `release` or `reject`, with the message's name. */
    static void share() throws Exception {
        String topic = given.get("from");
        create(topic);
        try (Admin admin = Admin.create(config())) {
            ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, given.get("group"));
            ConfigEntry earliest = new ConfigEntry("share.auto.offset.reset", "earliest");
            admin.incrementalAlterConfigs(
                            Map.of(group, List.of(new AlterConfigOp(earliest, AlterConfigOp.OpType.SET))))
                    .all()
                    .get();
        }
        Properties config = config();
        config.put("group.id", given.get("group"));
        config.put("share.acknowledgement.mode", "explicit");
        int count = Integer.parseInt(given.get("count"));
        try (KafkaShareConsumer<byte[], byte[]> consumer =
                new KafkaShareConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            line("ready");
            for (int seen = 0; seen < count; ) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    log(topic, record.value(), record.offset());
                    AcknowledgeType how = AcknowledgeType.ACCEPT;
                    if (record.offset() % 5 == 4) {
                        how = AcknowledgeType.REJECT;
                    } else if (record.offset() % 3 == 2 && record.deliveryCount().get() == 1) {
                        how = AcknowledgeType.RELEASE;
                    }
                    consumer.acknowledge(record, how);
                    log(how.toString(), record.value(), record.offset());
                    seen += how == AcknowledgeType.RELEASE ? 0 : 1;
                }
                // Else the next poll brings what was settled along.
                if (given.get("id").endsWith("-sync")) {
                    consumer.commitSync();
                }
            }
        }
    }

    static void create(String topic) throws Exception {
        try (Admin admin = Admin.create(config())) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
        } catch (java.util.concurrent.ExecutionException error) {
            // Another client was quicker.
            System.err.println(error);
        }
    }

    /** A body that begins with its name, as `message.rs` makes it. */
    static byte[] body(int number, int size) {
        StringBuilder text = new StringBuilder(String.format("%s-%06d", given.get("id"), number));
        if (size > text.length()) {
            text.append(' ');
        }
        while (text.length() < size) {
            text.append('.');
        }
        return text.toString().getBytes();
    }

    static void log(String destination, byte[] body, long offset) {
        String head = new String(body, 0, Math.min(body.length, 64)).split(" ", 2)[0];
        line(destination + " " + body.length + " " + head + " " + offset);
    }

    static void line(String text) {
        System.out.println(text);
        System.out.flush();
    }
}
