package clients

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func from(topic string, partition int32, offset kgo.Offset) kgo.Opt {
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: offset}})
}

func TestEveryCodec(t *testing.T) {
	t.Parallel()
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := createTopic(t, 1)
			sent := numbered(topic, 500, 1)
			for i, record := range sent {
				record.Key = fmt.Append(nil, i%7)
				record.Value = []byte(strings.Repeat(fmt.Sprintf("value %d ", i), 20))
			}
			produce(t, sent, kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond))
			for i, got := range take(t, client(t, from(topic, 0, kgo.NewOffset().AtStart())), len(sent)) {
				equal(t, "offset, key and value", []any{int64(i), string(sent[i].Key), string(sent[i].Value)},
					[]any{got.Offset, string(got.Key), string(got.Value)})
			}
		})
	}
}

// Small batches, many in flight: the order is the broker's to keep. The answer names the offset.
func TestAnIdempotentProducerKeepsTheOrder(t *testing.T) {
	t.Parallel()
	topic := createTopic(t, 4)
	sent := produce(t, numbered(topic, 2000, 4), kgo.ProducerBatchMaxBytes(1024))
	for i, record := range sent {
		equal(t, "offset that was answered", int64(i/4), record.Offset)
	}
	next := [4]int64{}
	for _, got := range take(t, client(t, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart())), len(sent)) {
		equal(t, "value", fmt.Sprint(next[got.Partition]*4+int64(got.Partition)), string(got.Value))
		next[got.Partition]++
	}
}

func TestSeekingByTime(t *testing.T) {
	t.Parallel()
	topic := createTopic(t, 1, "retention.ms", "-1")
	for _, milli := range []int64{1000, 2000, 3000} {
		produce(t, []*kgo.Record{{Topic: topic, Value: fmt.Append(nil, milli), Timestamp: time.UnixMilli(milli)}})
	}
	administrator := admin(t)
	for milli, expected := range map[int64][2]int64{0: {0, 1000}, 1001: {1, 2000}, 3000: {2, 3000}, 3001: {3, -1}} {
		listed, err := administrator.ListOffsetsAfterMilli(within(t), milli, topic)
		must(t, err)
		found, _ := listed.Lookup(topic, 0)
		equal(t, fmt.Sprintf("offset and time after %d", milli), expected, [2]int64{found.Offset, found.Timestamp})
	}
	for start, expected := range map[kgo.Offset][]string{
		kgo.NewOffset().AfterMilli(1001):     {"2000", "3000"},
		kgo.NewOffset().AtEnd().Relative(-1): {"3000"},
	} {
		var values []string
		for _, got := range take(t, client(t, from(topic, 0, start)), len(expected)) {
			values = append(values, string(got.Value))
		}
		equal(t, "values", expected, values)
	}
}

// Notes the sizes of the Fetch requests that a client writes.
type fetchSizes struct {
	lock  sync.Mutex
	sizes []int
}

func (f *fetchSizes) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, written int, _, _ time.Duration, _ error) {
	if key == kmsg.Fetch.Int16() {
		f.lock.Lock()
		defer f.lock.Unlock()
		f.sizes = append(f.sizes, written)
	}
}

// Inside a fetch session a request names only what changed.
func TestFetchSessions(t *testing.T) {
	t.Parallel()
	const partitions = 50
	topic := createTopic(t, partitions)
	seen := new(fetchSizes)
	consumer := client(t, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.WithHooks(seen))
	for round := range 5 {
		produce(t, []*kgo.Record{{Topic: topic, Partition: int32(round), Value: fmt.Append(nil, round)}})
		equal(t, "value", fmt.Sprint(round), string(take(t, consumer, 1)[0].Value))
	}
	seen.lock.Lock()
	defer seen.lock.Unlock()
	if largest, last := slices.Max(seen.sizes), seen.sizes[len(seen.sizes)-1]; last*4 > largest {
		t.Fatalf("the last request is as full as the first: %v", seen.sizes)
	}
}
