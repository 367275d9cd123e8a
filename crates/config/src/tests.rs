//! The table agrees with itself and with Kafka's words; layers speak in order; texts become settings.

use crate::*;

fn map(pairs: &[(&str, &str)]) -> Overrides {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_table_agrees_with_itself() {
    for keys in [topic_keys(), broker_keys()] {
        assert!(keys.windows(2).all(|pair| pair[0].name < pair[1].name), "sorted by name, no key twice");
        for key in keys {
            if let Some(default) = key.default {
                assert_eq!(key.check(default), Ok(()), "the default of {}", key.name);
            }
            assert!(key.documentation.ends_with('.'), "{} is documented in a sentence", key.name);
        }
    }
    let nothing = Settings::default();
    let layers = Layers::fixed(&nothing);
    for key in topic_keys() {
        for synonym in key.synonyms {
            assert!(broker_key(synonym.key).is_some(), "{} is no broker key", synonym.key);
        }
        let value = layers.topic_value(key, None);
        assert_eq!(Some(value.as_ref()), key.default, "the brokers' default of {} is the topic's", key.name);
    }
}

#[test]
fn defaults_resolve_to_types() {
    let nothing = Settings::default();
    let topic = TopicConfig::resolve(&Layers::fixed(&nothing), None);
    assert_eq!((topic.retention_ms, topic.retention_bytes), (Some(604_800_000), None));
    assert_eq!((topic.segment_bytes, topic.max_message_bytes), (1 << 30, 1_048_588));
    assert_eq!((topic.durability, topic.produce_validation), (Durability::Disk, ProduceValidation::Header));
    let broker = BrokerConfig::resolve(&Layers::fixed(&nothing)).unwrap();
    assert_eq!(
        broker.listeners,
        [Listener { name: "PLAINTEXT".into(), host: "localhost".into(), port: 9092 }]
    );
    assert_eq!(broker.offsets_retention_ms, 10_080 * 60_000);
    assert_eq!((broker.default_replication_factor, broker.offsets_topic_partitions), (None, 50));
}

/// Every wording was read off Apache Kafka 4.3.1.
#[test]
fn values_are_refused_in_kafkas_words() {
    for (key, value, answer) in [
        (
            "retention.ms",
            "abc",
            "Invalid value abc for configuration retention.ms: Not a number of type LONG",
        ),
        ("retention.ms", "-5", "Invalid value -5 for configuration retention.ms: Value must be at least -1"),
        (
            "cleanup.policy",
            "foo",
            "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        ("cleanup.policy", "", ""),
        ("cleanup.policy", "delete, compact", ""),
        (
            "compression.type",
            "brotli",
            "Invalid value brotli for configuration compression.type: \
             String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        (
            "segment.bytes",
            "10",
            "Invalid value 10 for configuration segment.bytes: Value must be at least 1048576",
        ),
        (
            "unclean.leader.election.enable",
            "maybe",
            "Invalid value maybe for configuration unclean.leader.election.enable: \
             Expected value to be either true or false",
        ),
        ("preallocate", "TRUE", ""),
        (
            "min.cleanable.dirty.ratio",
            "2.0",
            "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        (
            "compression.gzip.level",
            "0",
            "Invalid value 0 for configuration compression.gzip.level: \
             Value must be between 1 and 9 or equal to -1",
        ),
        (
            "compression.lz4.level",
            "99",
            "Invalid value 99 for configuration compression.lz4.level: Value must be no more than 17",
        ),
        (
            "max.message.bytes",
            "99999999999",
            "Invalid value 99999999999 for configuration max.message.bytes: Not a number of type INT",
        ),
        (
            "leader.replication.throttled.replicas",
            "x",
            "Invalid value x for configuration leader.replication.throttled.replicas: \
             Value must be the literal '*' or a list of replicas in the following format: \
             [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        ("leader.replication.throttled.replicas", "0:1,1:2", ""),
        ("retention.bytes", "-2", ""),
        (
            "remote.storage.enable",
            "true",
            "Tiered Storage functionality is disabled in the broker. \
             Topic cannot be configured with remote log storage.",
        ),
        ("retention.mss", "1", "Unknown topic config name: retention.mss; did you mean retention.ms?"),
        ("foo", "1", "Unknown topic config name: foo"),
    ] {
        let got = check_topic(&map(&[(key, value)])).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(got, answer, "{key}={value}");
    }
    let lags = map(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")]);
    assert_eq!(
        check_topic(&lags).unwrap_err().to_string(),
        "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"
    );
}

fn shown(described: &Described) -> String {
    let words: Vec<_> =
        described.synonyms.iter().map(|w| format!("{}={}@{}", w.name, w.value, w.source.number())).collect();
    let value = described.value.as_deref().unwrap_or("null");
    format!("{value} @{} [{}]", described.source.number(), words.join(", "))
}

/// The answers were compared with Apache Kafka 4.3.1 under the same settings.
#[test]
fn layers_speak_in_order_and_synonyms_tell_all() {
    let mut fixed = Settings::default();
    fixed.set("log.retention.minutes", "10").unwrap();
    let (broker, all) = (map(&[("log.retention.ms", "1000000")]), map(&[("log.retention.ms", "2000000")]));
    let own = map(&[("cleanup.policy", "compact"), ("retention.bytes", "from the future")]);
    let dynamic = Layers { broker: Some(&broker), all_brokers: Some(&all), fixed: &fixed };
    let topic = |layers: &Layers<'_>, key: &str| {
        shown(layers.describe_topic(Some(&own)).iter().find(|entry| entry.key.name == key).unwrap())
    };
    assert_eq!(
        topic(&dynamic, "retention.ms"),
        "1000000 @2 [log.retention.ms=1000000@2, log.retention.ms=2000000@3, log.retention.minutes=10@4, \
         log.retention.hours=168@5]"
    );
    assert_eq!(
        topic(&Layers::fixed(&fixed), "retention.ms"),
        "600000 @4 [log.retention.minutes=10@4, log.retention.hours=168@5]"
    );
    assert_eq!(
        topic(&dynamic, "cleanup.policy"),
        "compact @1 [cleanup.policy=compact@1, log.cleanup.policy=delete@5]"
    );
    assert_eq!(topic(&dynamic, "retention.bytes"), "-1 @5 [log.retention.bytes=-1@5]");
    assert_eq!(topic(&dynamic, "flush.ms"), "9223372036854775807 @5 []");
    assert_eq!(topic(&dynamic, "ottla.durability"), "disk @5 [ottla.durability=disk@5]");
    let nodes = dynamic.describe_broker();
    let broker = |key: &str| nodes.iter().find(|entry| entry.key.name == key).unwrap();
    assert_eq!(
        shown(broker("log.retention.ms")),
        "1000000 @2 [log.retention.ms=1000000@2, log.retention.ms=2000000@3]"
    );
    assert_eq!((broker("log.retention.ms").read_only, broker("node.id").read_only), (false, true));
    assert_eq!(shown(broker("broker.rack")), "null @5 []");
    let all: Vec<_> = dynamic.describe_all_brokers().iter().map(shown).collect();
    assert_eq!(all, ["2000000 @3 [log.retention.ms=2000000@3]"]);
}

#[test]
fn a_compacted_topic_reads_records_and_small_segments_are_for_tests() {
    let nothing = Settings::default();
    let own = map(&[("cleanup.policy", "compact,delete"), ("internal.segment.bytes", "100")]);
    assert_eq!(check_topic(&own), Ok(()));
    let topic = TopicConfig::resolve(&Layers::fixed(&nothing), Some(&own));
    assert_eq!((topic.produce_validation, topic.segment_bytes), (ProduceValidation::Records, 100));
    assert_eq!(topic.cleanup_policy, CleanupPolicy { delete: true, compact: true });
    assert!(
        !Layers::fixed(&nothing)
            .describe_topic(None)
            .iter()
            .any(|entry| entry.key.name.starts_with("internal"))
    );
}

#[test]
fn flags_are_taken_or_refused_with_what_to_write() {
    for (text, answer) in [
        ("num.partitions=3", "ok"),
        ("num.partitions=0", "Invalid value 0 for configuration num.partitions: Value must be at least 1"),
        ("num.partition=3", "Unknown broker config name: num.partition; did you mean num.partitions?"),
        (
            "retention.ms=1",
            "retention.ms is set topic by topic; its default for all topics is log.retention.ms",
        ),
        (
            "remote.storage.enable=1",
            "remote.storage.enable is set topic by topic, it has no default for all topics",
        ),
        ("num.io.threads=8", "num.io.threads is not needed here and was ignored"),
        (
            "replica.lag.time.max.ms=1000",
            "replica.lag.time.max.ms is known and has no effect in this version",
        ),
        (
            "sasl.enabled.mechanisms=PLAIN",
            "sasl.enabled.mechanisms asks for protection that this version of Ottla does not have; \
             remove the key to run without it",
        ),
        ("ssl.client.auth=none", "ok"),
        ("broker.id=7", "ok"),
        (
            "log.dirs=/a,/b",
            "Invalid value /a,/b for configuration log.dirs: \
             this version keeps its data in one folder, so exactly one must be named",
        ),
        ("what", "'what' is no setting: KEY=VALUE expected, for example num.partitions=3"),
        (
            "listeners=PLAINTEXT:9092",
            "Invalid value PLAINTEXT:9092 for configuration listeners: 'PLAINTEXT:9092' is no listener: \
             NAME://host:port expected, for example PLAINTEXT://:9092",
        ),
    ] {
        let got = match Settings::default().set_assignment(text) {
            Ok(None) => "ok".to_owned(),
            Ok(Some(notice)) => notice.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, answer, "{text}");
    }
}

#[test]
fn variables_become_keys_or_at_most_a_notice() {
    let mut settings = Settings::default();
    let notices = settings
        .read_environment([
            ("PATH", "/bin"),
            ("KAFKA_NUM_PARTITIONS", "4"),
            ("OTTLA_DURABILITY", "memory"),
            ("OTTLA_LOG_RETENTION_MS", "5"),
            ("KAFKA_CFG_MESSAGE_MAX_BYTES", "77"),
            ("OTTLA_BOOTSTRAP", "a:1"),
            ("OTTLA_SERVICE_HOST", "10.0.0.1"),
            ("KAFKA_SERVICE_PORT_9092", "9092"),
            ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
            ("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
            ("KAFKA_BROKER_1_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
            ("KAFKA_HEAP_OPTS", "-Xmx1G"),
            ("KAFKA_JMX_PORT", "9999"),
            ("KAFKA_ZOOKEEPER_CONNECT", "zk:2181"),
            ("KAFKA_PROCESS_ROLES", "broker,controller"),
            ("KAFKA_NUM_PARTITION", "4"),
        ])
        .unwrap();
    let expected = map(&[
        ("num.partitions", "4"),
        ("ottla.durability", "memory"),
        ("log.retention.ms", "5"),
        ("message.max.bytes", "77"),
        ("process.roles", "broker,controller"),
    ]);
    assert_eq!(settings.values(), &expected);
    let notices: Vec<_> = notices.iter().map(Notice::to_string).collect();
    assert_eq!(
        notices,
        [
            "KAFKA_HEAP_OPTS is not needed here and was ignored",
            "KAFKA_JMX_PORT is not needed here and was ignored",
            "zookeeper.connect is not needed here and was ignored",
            "process.roles is not needed here and was ignored",
            "environment variable KAFKA_NUM_PARTITION names no configuration key and was ignored; \
             did you mean num.partitions?",
        ]
    );
    let wrong = settings.read_environment([("KAFKA_NUM_PARTITIONS", "many")]).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "Invalid value many for configuration num.partitions: Not a number of type INT"
    );
}

#[test]
fn properties_read_as_java_reads_them() {
    let mut settings = Settings::default();
    let text = "# comment\n! comment\n\n num.partitions = 3\nbroker.rack:a\\:b\\u0041\ncontroller.listener.names=A,\\\n   B\nnode.id 5\n";
    assert_eq!(settings.read_properties(text), Ok(vec![]));
    let expected = map(&[
        ("num.partitions", "3"),
        ("broker.rack", "a:bA"),
        ("controller.listener.names", "A,B"),
        ("node.id", "5"),
    ]);
    assert_eq!(settings.values(), &expected);
    let error = settings.read_properties("num.partitions=3\n\nnum.partions=4").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3: Unknown broker config name: num.partions; did you mean num.partitions?"
    );
}

#[test]
fn toml_names_keys_by_tables_and_dots() {
    let mut settings = Settings::default();
    let text = r#"
# comment
num.partitions = 0x10
listeners = ["A://:1", "B://:2"]
"broker.rack" = "a \"b\""
max.connections = 1_000
"max.connections.per.ip" = 10

[log]
retention = { ms = -1, bytes = 5 }
roll.ms = 7

[log.cleaner]
min.cleanable.ratio = 0.25

[auto.create]
topics.enable = false
"#;
    assert_eq!(settings.read_toml(text).map(|notices| notices.len()), Ok(0));
    let expected = map(&[
        ("num.partitions", "16"),
        ("listeners", "A://:1,B://:2"),
        ("broker.rack", "a \"b\""),
        ("max.connections", "1000"),
        ("max.connections.per.ip", "10"),
        ("log.retention.ms", "-1"),
        ("log.retention.bytes", "5"),
        ("log.roll.ms", "7"),
        ("log.cleaner.min.cleanable.ratio", "0.25"),
        ("auto.create.topics.enable", "false"),
    ]);
    assert_eq!(settings.values(), &expected);
}

#[test]
fn a_mistake_in_toml_is_named_with_its_line() {
    for (text, answer) in [
        (
            "\n[num]\npartitions = 3\npartions = 4",
            "line 4: Unknown broker config name: num.partions; did you mean num.partitions?",
        ),
        (
            "num.partitions = true",
            "line 1: Invalid value true for configuration num.partitions: Not a number of type INT",
        ),
        (
            "\nlisteners = [\n  'A://:1',\n  ['B'],\n]",
            "line 4: listeners is given an array in an array; \
             a text, a number, a boolean or an array of these expected",
        ),
        (
            "\n\nlog.retention.ms = 2026-01-01",
            "line 3: log.retention.ms is given a date or time; \
             a text, a number, a boolean or an array of these expected",
        ),
        (
            "[[num]]\npartitions = 1",
            "line 1: num is given a table in an array; a text, a number, a boolean or an array of these expected",
        ),
        ("num.partitions = 1\nb 2", "line 2: key with no value, expected `=`"),
        (
            "max.connections = 1\nmax.connections.per.ip = 1",
            "line 2: cannot extend value of type integer with a dotted key",
        ),
        ("num.partitions = 1\nnum.partitions = 2", "line 2: duplicate key"),
        (
            "num.partitions = 99999999999999999999",
            "line 1: num.partitions is given an integer beyond 64 bits; a text, a number, a boolean or an array of these expected",
        ),
    ] {
        let got = Settings::default().read_toml(text).unwrap_err().to_string();
        assert_eq!(got, answer, "{text}");
    }
}

#[test]
fn listeners_bind_and_advertise() {
    for (settings, answer) in [
        (vec![], "PLAINTEXT://localhost:9092 / "),
        (vec!["listeners=PLAINTEXT://:9092"], "PLAINTEXT://:9092 / "),
        (
            vec!["listeners=plaintext://[::1]:0,PLAINTEXT://127.0.0.1:0"],
            "PLAINTEXT://[::1]:0 PLAINTEXT://127.0.0.1:0 / ",
        ),
        // As a container's image has it.
        (vec!["ottla.default.host=0.0.0.0"], "PLAINTEXT://0.0.0.0:9092 / "),
        (
            vec!["ottla.default.host=0.0.0.0", "listeners=PLAINTEXT://127.0.0.1:1"],
            "PLAINTEXT://127.0.0.1:1 / ",
        ),
        (
            vec!["ottla.default.host=0.0.0.0", "advertised.listeners=PLAINTEXT://localhost:29092"],
            "PLAINTEXT://:29092 / PLAINTEXT://localhost:29092",
        ),
        (
            vec!["ottla.default.host=no host"],
            "'PLAINTEXT://no host:9092' is no listener: NAME://host:port expected, for example PLAINTEXT://:9092",
        ),
        // As tutorials have it: only what to advertise.
        (vec!["advertised.listeners=PLAINTEXT://kafka:9093"], "PLAINTEXT://:9093 / PLAINTEXT://kafka:9093"),
        // As a compose file for Kafka has it.
        (
            vec![
                "listeners=INTERNAL://b:29092,CONTROLLER://b:29093,PLAINTEXT_HOST://0.0.0.0:9092",
                "advertised.listeners=INTERNAL://b:29092,PLAINTEXT_HOST://localhost:9092",
                "controller.listener.names=CONTROLLER",
                "listener.security.protocol.map=CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
            ],
            "INTERNAL://b:29092 PLAINTEXT_HOST://0.0.0.0:9092 / INTERNAL://b:29092 PLAINTEXT_HOST://localhost:9092",
        ),
        (
            vec!["listeners=A://:1"],
            "listener A has no protocol: add A:PLAINTEXT to listener.security.protocol.map",
        ),
        (
            vec!["listeners=SSL://:1"],
            "listener SSL asks for SSL; this version of Ottla serves PLAINTEXT only",
        ),
        (vec!["listeners=PLAINTEXT://a:1,PLAINTEXT://a:2"], "listener PLAINTEXT://a:2 is given twice"),
        (
            vec!["listeners=PLAINTEXT://a:1", "advertised.listeners=X://a:2"],
            "advertised.listeners names X, which listeners does not",
        ),
        (
            vec!["advertised.listeners=PLAINTEXT://0.0.0.0:1"],
            "advertised listener PLAINTEXT://0.0.0.0:1 has no host that a client could dial",
        ),
        (vec!["listeners=C://:1", "controller.listener.names=C"], "listeners leaves nothing to listen on"),
    ] {
        let mut fixed = Settings::default();
        for setting in &settings {
            fixed.set_assignment(setting).unwrap();
        }
        let all =
            |listeners: &[Listener]| listeners.iter().map(Listener::to_string).collect::<Vec<_>>().join(" ");
        let got = match BrokerConfig::resolve(&Layers::fixed(&fixed)) {
            Ok(broker) => format!("{} / {}", all(&broker.listeners), all(&broker.advertised_listeners)),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, answer, "{settings:?}");
    }
}
