package clients

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// sarama speaks as a client of one release of Kafka: the one that it takes when nobody says, and the newest it knows.
var releases = []sarama.KafkaVersion{sarama.DefaultVersion, sarama.MaxVersion}

func saramaConfig(release sarama.KafkaVersion) *sarama.Config {
	config := sarama.NewConfig()
	config.ClientID = "go-tests"
	config.Version = release
	config.Producer.Return.Successes = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	return config
}

func saramaProduce(t *testing.T, config *sarama.Config, messages ...*sarama.ProducerMessage) {
	t.Helper()
	producer, err := sarama.NewSyncProducer([]string{bootstrap(t)}, config)
	must(t, err)
	must(t, producer.SendMessages(messages))
	must(t, producer.Close())
}

// Hands a member's messages out, until it has seen `count`; then commits what is before the last `left` of them.
type saramaMember struct {
	count, left int
	seen        []*sarama.ConsumerMessage
}

func (*saramaMember) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.seen = append(m.seen, message)
		if len(m.seen) == m.count {
			session.MarkMessage(m.seen[m.count-m.left-1], "")
			session.Commit()
			return nil
		}
	}
	return nil
}

// What a new member of the group is given; it leaves after `count` messages.
func saramaTake(t *testing.T, config *sarama.Config, topic, group string, count, left int) []*sarama.ConsumerMessage {
	t.Helper()
	consumer, err := sarama.NewConsumerGroup([]string{bootstrap(t)}, group, config)
	must(t, err)
	member := &saramaMember{count: count, left: left}
	for ctx := within(t); len(member.seen) < count; {
		if err := consumer.Consume(ctx, []string{topic}, member); ctx.Err() != nil {
			t.Fatalf("%d of %d messages: %v", len(member.seen), count, err)
		}
	}
	must(t, consumer.Close())
	return member.seen
}

func TestSaramaEveryCodecInAGroupThatResumes(t *testing.T) {
	t.Parallel()
	const count, left = 300, 10
	codecs := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	for _, release := range releases {
		for _, codec := range codecs {
			t.Run(release.String()+"/"+codec.String(), func(t *testing.T) {
				t.Parallel()
				config := saramaConfig(release)
				config.Producer.Compression = codec
				config.Producer.Idempotent, config.Producer.RequiredAcks, config.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
				topic, group := createTopic(t, 1), unique("sarama")
				var sent []string
				var messages []*sarama.ProducerMessage
				for i := range count {
					sent = append(sent, strings.Repeat(fmt.Sprintf("value %d ", i), 20))
					messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(sent[i])})
				}
				saramaProduce(t, config, messages...)
				for i, got := range saramaTake(t, config, topic, group, count, left) {
					equal(t, "offset and value", []any{int64(i), sent[i]}, []any{got.Offset, string(got.Value)})
				}
				equal(t, "where it resumes", int64(count-left), saramaTake(t, config, topic, group, left, 0)[0].Offset)
			})
		}
	}
}

func TestSaramaSeeksByTimeAndAdministers(t *testing.T) {
	t.Parallel()
	for _, release := range releases {
		t.Run(release.String(), func(t *testing.T) {
			t.Parallel()
			config, topic, keep := saramaConfig(release), unique("sarama"), "-1"
			connected, err := sarama.NewClient([]string{bootstrap(t)}, config)
			must(t, err)
			administrator, err := sarama.NewClusterAdminFromClient(connected)
			must(t, err)
			defer administrator.Close()

			detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &keep}}
			must(t, administrator.CreateTopic(topic, detail, false))
			if err := administrator.CreateTopic(topic, detail, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
				t.Fatalf("a second creation: %v", err)
			}
			untilLed(t, admin(t), topic, 1)
			for _, milli := range []int64{1000, 2000, 3000} {
				saramaProduce(t, config, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("v"), Timestamp: time.UnixMilli(milli)})
			}
			for at, expected := range map[int64]int64{sarama.OffsetOldest: 0, 1001: 1, 3000: 2, 3001: -1, sarama.OffsetNewest: 3} {
				offset, err := connected.GetOffset(topic, 0, at)
				must(t, err)
				equal(t, fmt.Sprintf("offset at %d", at), expected, offset)
			}

			entries, err := administrator.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}})
			must(t, err)
			equal(t, "retention.ms", "-1", entries[0].Value)
			must(t, administrator.DeleteRecords(topic, map[int32]int64{0: 2}))
			oldest, err := connected.GetOffset(topic, 0, sarama.OffsetOldest)
			must(t, err)
			equal(t, "first offset", int64(2), oldest)
			must(t, administrator.CreatePartitions(topic, 3, nil, false))
			untilLed(t, admin(t), topic, 3)
			group := unique("sarama")
			saramaTake(t, config, topic, group, 1, 0)
			described, err := administrator.DescribeConsumerGroups([]string{group})
			must(t, err)
			equal(t, "state", "Empty", described[0].State)
			must(t, administrator.DeleteConsumerGroup(group))
			must(t, administrator.DeleteTopic(topic))
			eventually(t, "the topic is gone", func() bool {
				must(t, connected.RefreshMetadata())
				topics, err := connected.Topics()
				must(t, err)
				return !slices.Contains(topics, topic)
			})
		})
	}
}
