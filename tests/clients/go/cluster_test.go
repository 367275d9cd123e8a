// Package clients shows what an application in Go expects of a broker, with franz-go and sarama.
//
//   - Nothing sleeps: a client's own poll waits for what is awaited, for at most `patience`.
//   - Every topic and group has a name of its own, so that tests run beside each other against one broker.
package clients

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// How long anything but a session timeout may take: generous, because continuous integration is slow.
const patience = 60 * time.Second

// The broker that the runner started for this suite.
func bootstrap(t *testing.T) string {
	address := os.Getenv("OTTLA_BOOTSTRAP")
	if address == "" {
		t.Fatal("OTTLA_BOOTSTRAP names no broker (host:port)")
	}
	return address
}

func unique(prefix string) string {
	return prefix + "-" + strings.ToLower(rand.Text()[:8])
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A client, closed when the test ends.
func client(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	all := append([]kgo.Opt{kgo.SeedBrokers(bootstrap(t)), kgo.ClientID("go-tests"), kgo.FetchMaxWait(100 * time.Millisecond)}, options...)
	opened, err := kgo.NewClient(all...)
	must(t, err)
	t.Cleanup(opened.Close)
	return opened
}

func admin(t *testing.T) *kadm.Client {
	t.Helper()
	return kadm.NewClient(client(t))
}

// Creates a topic, with configuration as pairs of key and value, and returns its name once every partition has a leader.
func createTopic(t *testing.T, partitions int32, config ...string) string {
	t.Helper()
	return createTopicOn(t, bootstrap(t), partitions, config...)
}

// The same on a broker of the test's own.
func createTopicOn(t *testing.T, address string, partitions int32, config ...string) string {
	t.Helper()
	topic, administrator := unique("go"), kadm.NewClient(client(t, kgo.SeedBrokers(address)))
	configs := map[string]*string{}
	for i := 0; i < len(config); i += 2 {
		configs[config[i]] = &config[i+1]
	}
	_, err := administrator.CreateTopic(within(t), partitions, 1, configs, topic)
	must(t, err)
	untilLed(t, administrator, topic, int(partitions))
	return topic
}

// Kafka answers a change a moment before its brokers have heard of it.
func untilLed(t *testing.T, administrator *kadm.Client, topic string, partitions int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has %d partitions with leaders", topic, partitions), func() bool {
		topics, err := administrator.ListTopics(within(t), topic)
		must(t, err)
		led := 0
		for _, partition := range topics[topic].Partitions {
			if partition.Err == nil && partition.Leader >= 0 {
				led++
			}
		}
		return led == partitions
	})
}

func produce(t *testing.T, records []*kgo.Record, options ...kgo.Opt) []*kgo.Record {
	t.Helper()
	producer := client(t, append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	must(t, producer.ProduceSync(within(t), records...).FirstErr())
	producer.Close()
	return records
}

// Records with the values 0, 1, 2 …, in turn over the partitions.
func numbered(topic string, count int, partitions int32) []*kgo.Record {
	records := make([]*kgo.Record, count)
	for i := range records {
		records[i] = &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Value: fmt.Append(nil, i)}
	}
	return records
}

// Takes at least `count` records. The client tells of a coordinator that is still coming to life, and asks it again by itself.
func take(t *testing.T, consumer *kgo.Client, count int) []*kgo.Record {
	t.Helper()
	ctx := within(t)
	var taken []*kgo.Record
	for len(taken) < count {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil && !errors.As(err, new(*kgo.ErrGroupSession)) {
			t.Fatalf("%d of %d records: %v", len(taken), count, err)
		}
		taken = append(taken, fetches.Records()...)
	}
	return taken
}

// Asks again until the condition holds; the condition itself waits, by asking the broker.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, expected, actual any) {
	t.Helper()
	if !reflect.DeepEqual(expected, actual) {
		t.Fatalf("%s: expected %v, got %v", what, expected, actual)
	}
}
