//! Scripts: requests, `----`, and what was answered and recorded. Refusals were compared with Apache Kafka.

use config::Settings;
use meta::{BrokerEpoch, ConfigResource, ConfigResourceKind, Endpoint, Image, MetadataRecord};
use model::{BrokerId, ClusterId, PartitionIndex, TopicId, Uuid};

use crate::*;

/// A cluster that scripts act on.
struct World {
    image: Image,
    fixed: Settings,
    defaults: TopicDefaults,
    next_id: u8,
}

impl World {
    /// Proposes, and says what changed.
    fn propose(&mut self, records: &[MetadataRecord]) {
        decided(&mut self.image, records);
    }

    fn run(&mut self, command: &str) -> Vec<String> {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        match verb {
            "broker" => self.broker(rest),
            "set" => {
                self.fixed.set_assignment(rest).unwrap();
                let config = config::BrokerConfig::resolve(&config::Layers::fixed(&self.fixed)).unwrap();
                self.defaults = TopicDefaults::from(&config);
                vec![]
            }
            "create" => self.create(rest),
            "delete" => self.delete(rest),
            "grow" => self.grow(rest),
            "alter" => self.alter(rest),
            "replace" => self.replace(rest),
            "move" => self.reassign(rest),
            "elect" => self.elect(rest),
            "ids" => self.ids(rest),
            "topic" => self.topic(rest),
            other => panic!("no command {other}"),
        }
    }

    fn broker(&mut self, rest: &str) -> Vec<String> {
        let (id, incarnation) = rest.split_once(' ').unwrap();
        let registration = Registration {
            cluster_id: ClusterId(Uuid([1; 16])),
            id: BrokerId(id.parse().unwrap()),
            incarnation: Uuid([incarnation.parse().unwrap(); 16]),
            endpoints: vec![Endpoint { listener: "PLAINTEXT".into(), host: "h".into(), port: 9092 }],
            directories: vec![Uuid([7; 16])],
            rack: None,
        };
        let (epoch, records) = register_broker(&self.image, registration).unwrap();
        self.propose(&records);
        vec![format!("epoch {epoch}")]
    }

    fn create(&mut self, rest: &str) -> Vec<String> {
        let topics: Vec<_> = rest.split(" + ").map(new_topic).collect();
        let next_id = &mut self.next_id;
        let decision = create_topics(&self.image, self.defaults, &topics, || {
            *next_id += 1;
            TopicId(Uuid([*next_id; 16]))
        });
        self.propose(&decision.records);
        let line = |(name, answer): &(String, Result<CreatedTopic, ControllerError>)| match answer {
            Ok(created) => {
                format!("{name}: partitions={} rf={}", created.partitions, created.replication_factor)
            }
            Err(error) => format!("{name}: {error}"),
        };
        decision.answers.iter().map(line).collect()
    }

    fn delete(&mut self, rest: &str) -> Vec<String> {
        let target = |text: &str| match text.strip_prefix('#') {
            Some(id) => TopicTarget::Id(TopicId(Uuid([id.parse().unwrap(); 16]))),
            None => TopicTarget::Name(text.to_owned()),
        };
        let targets: Vec<_> = rest.split(' ').map(target).collect();
        let decision = delete_topics(&self.image, &targets);
        self.propose(&decision.records);
        let line = |answer: &DeletedTopic| match (&answer.target, &answer.result) {
            (_, Ok((_, name))) => format!("{name}: deleted"),
            (TopicTarget::Name(name), Err(error)) => format!("{name}: {error}"),
            (TopicTarget::Id(_), Err(error)) => format!("id: {error}"),
        };
        decision.answers.iter().map(line).collect()
    }

    fn grow(&mut self, rest: &str) -> Vec<String> {
        let more = |text: &str| {
            let mut words = text.split(' ');
            let (topic, count) = (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap());
            let assignments = words.next().map(|text| text.split('/').map(brokers).collect());
            MorePartitions { topic, count, assignments }
        };
        let topics: Vec<_> = rest.split(" + ").map(more).collect();
        let decision = create_partitions(&self.image, &topics);
        self.propose(&decision.records);
        let line = |(name, answer): &(String, Result<i32, ControllerError>)| match answer {
            Ok(count) => format!("{name}: partitions={count}"),
            Err(error) => format!("{name}: {error}"),
        };
        decision.answers.iter().map(line).collect()
    }

    fn alter(&mut self, rest: &str) -> Vec<String> {
        let mut words = rest.split(' ');
        let resource = resource(words.next().unwrap());
        let alterations: Vec<_> = words.map(alteration).collect();
        let layers = layers(&self.image, BrokerId(1), &self.fixed);
        let result = alter_configs(&self.image, &layers, &resource, &alterations);
        self.configured(&resource, result)
    }

    fn replace(&mut self, rest: &str) -> Vec<String> {
        let mut words = rest.split(' ');
        let resource = resource(words.next().unwrap());
        let layers = layers(&self.image, BrokerId(1), &self.fixed);
        let result = replace_configs(&self.image, &layers, &resource, &words.map(pair).collect::<Vec<_>>());
        self.configured(&resource, result)
    }

    fn configured(
        &mut self,
        resource: &ConfigResource,
        result: Result<Vec<MetadataRecord>, ControllerError>,
    ) -> Vec<String> {
        match result {
            Ok(records) => {
                self.propose(&records);
                let set = self.image.config(resource).map(|set| format!("{set:?}")).unwrap_or_default();
                vec![format!("{} records {set}", records.len())]
            }
            Err(error) => vec![error.to_string()],
        }
    }

    /// `TOPIC PARTITION [BROKERS]`
    fn reassign(&mut self, rest: &str) -> Vec<String> {
        let words: Vec<&str> = rest.split(' ').collect();
        let wanted = words.get(2).map(|text| brokers(text));
        let index = PartitionIndex(words[1].parse().unwrap());
        vec![granted(reassign(&self.image, words[0], index, wanted.as_deref()))]
    }

    /// `TOPIC PARTITION KIND`
    fn elect(&mut self, rest: &str) -> Vec<String> {
        let words: Vec<&str> = rest.split(' ').collect();
        let index = PartitionIndex(words[1].parse().unwrap());
        let elected = Election::from_number(words[2].parse().unwrap())
            .and_then(|election| elect_leader(&self.image, words[0], index, election));
        vec![granted(elected)]
    }

    fn ids(&mut self, rest: &str) -> Vec<String> {
        let (broker, epoch) = rest.split_once(' ').unwrap();
        let (broker, epoch) = (BrokerId(broker.parse().unwrap()), BrokerEpoch(epoch.parse().unwrap()));
        match allocate_producer_ids(&self.image, broker, epoch) {
            Ok((block, records)) => {
                self.propose(&records);
                vec![format!("{} to {}", block.first.0, block.end.0 - 1)]
            }
            Err(error) => vec![error.to_string()],
        }
    }

    fn topic(&mut self, name: &str) -> Vec<String> {
        let Some(topic) = self.image.topic_named(name) else { return vec!["none".into()] };
        let mut lines = vec![format!("{:?}", topic.replication_factor)];
        for (partition, state) in topic.partitions() {
            let replicas: Vec<_> = state.replicas.iter().map(|replica| replica.broker.0).collect();
            lines.push(format!(
                "{partition}: {replicas:?} leader {} epoch {}",
                state.leader, state.leader_epoch
            ));
        }
        let config = self.image.config(&ConfigResource::topic(&topic.name));
        lines.extend(config.map(|set| format!("{set:?}")));
        lines
    }
}

fn granted(result: Result<(), ControllerError>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "granted".into())
}

fn brokers(text: &str) -> Vec<BrokerId> {
    text.split(',').filter(|id| !id.is_empty()).map(|id| BrokerId(id.parse().unwrap())).collect()
}

fn pair(text: &str) -> (String, Option<String>) {
    let (key, value) = text.split_once('=').unwrap();
    (key.to_owned(), (value != "null").then(|| value.to_owned()))
}

/// `NAME partitions=N rf=N assign=0:1,2/1:2,1 key=value`
fn new_topic(text: &str) -> NewTopic {
    let mut words = text.split(' ');
    let name = words.next().unwrap().replace("EMPTY", "");
    let mut topic =
        NewTopic { name, partitions: -1, replication_factor: -1, assignments: vec![], configs: vec![] };
    for word in words {
        match word.split_once('=').unwrap() {
            ("partitions", count) => topic.partitions = count.parse().unwrap(),
            ("rf", copies) => topic.replication_factor = copies.parse().unwrap(),
            ("assign", text) => {
                let one = |text: &str| {
                    let (partition, ids) = text.split_once(':').unwrap();
                    (partition.parse().unwrap(), brokers(ids))
                };
                topic.assignments = text.split('/').map(one).collect();
            }
            _ => topic.configs.push(pair(word)),
        }
    }
    topic
}

/// `topic:NAME`, `broker:1`, `broker:`, `group:G`, `metrics:M`
fn resource(text: &str) -> ConfigResource {
    let (kind, name) = text.split_once(':').unwrap();
    let kind = match kind {
        "topic" => ConfigResourceKind::Topic,
        "broker" => ConfigResourceKind::Broker,
        "group" => ConfigResourceKind::Group,
        "metrics" => ConfigResourceKind::ClientMetrics,
        other => panic!("no resource {other}"),
    };
    ConfigResource { kind, name: name.to_owned() }
}

/// `key=value`, `key!` deletes, `key+value` appends, `key-value` subtracts
fn alteration(text: &str) -> Alteration {
    let at = text.find(['=', '!', '+', '-']).unwrap();
    let (key, value) = (&text[..at], &text[at + 1..]);
    let kind = match text.as_bytes()[at] {
        b'=' => AlterationKind::Set,
        b'!' => AlterationKind::Delete,
        b'+' => AlterationKind::Append,
        _ => AlterationKind::Subtract,
    };
    Alteration { key: key.to_owned(), kind, value: (value != "null").then(|| value.to_owned()) }
}

#[track_caller]
fn check(script: &str) {
    let mut world = World {
        image: Image::empty(),
        fixed: Settings::default(),
        defaults: TopicDefaults { partitions: 1, replication_factor: None },
        next_id: 0,
    };
    for block in script.split("\n\n") {
        let (commands, expected) = block.split_once("----").unwrap_or((block, ""));
        let lines = commands.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let got: Vec<String> = lines.flat_map(|command| world.run(command)).collect();
        let expected: Vec<&str> = expected.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(got, expected, "after{}", commands.trim_end());
    }
}

#[test]
fn topics_are_created_or_refused_in_kafkas_words() {
    check(include_str!("../scripts/create_topics"));
}

#[test]
fn topics_spread_over_brokers() {
    check(include_str!("../scripts/placement"));
}

#[test]
fn topics_are_deleted_by_name_or_id() {
    check(include_str!("../scripts/delete_topics"));
}

#[test]
fn partitions_only_grow() {
    check(include_str!("../scripts/create_partitions"));
}

#[test]
fn replicas_stay_and_leaders_too() {
    check(include_str!("../scripts/replicas"));
}

#[test]
fn configuration_is_altered_or_refused_in_kafkas_words() {
    check(include_str!("../scripts/alter_configs"));
}

#[test]
fn brokers_register_and_get_producer_ids() {
    check(include_str!("../scripts/brokers"));
}

#[test]
fn the_offsets_topic_is_compacted() {
    let config = config::BrokerConfig::resolve(&config::Layers::fixed(&Settings::default())).unwrap();
    let topic = offsets_topic(&config);
    let mut world = World {
        image: Image::empty(),
        fixed: Settings::default(),
        defaults: TopicDefaults::from(&config),
        next_id: 0,
    };
    world.broker("1 1");
    let decision = create_topics(&world.image, world.defaults, &[topic], || TopicId(Uuid([3; 16])));
    world.propose(&decision.records);
    let lines = world.topic("__consumer_offsets");
    assert_eq!(
        (lines.len(), lines[0].as_str(), lines[1].as_str()),
        (52, "Automatic", "0: [1] leader 1 epoch 0")
    );
    let set =
        r#"{"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "104857600"}"#;
    assert_eq!(lines[51], set);
}
