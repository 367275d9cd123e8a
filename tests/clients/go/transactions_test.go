package clients

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func transactional(t *testing.T, id string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	return client(t, append(options, kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
}

func write(t *testing.T, producer *kgo.Client, topic string, value string) {
	t.Helper()
	record := &kgo.Record{Topic: topic, Value: []byte(value)}
	must(t, producer.ProduceSync(within(t), record).FirstErr())
}

// Reads the first committed records of partition 0.
func committed(t *testing.T, topic string, count int) []string {
	t.Helper()
	reader := client(t, from(topic, 0, kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	var values []string
	for _, record := range take(t, reader, count) {
		values = append(values, string(record.Value))
	}
	return values
}

func TestWhatIsCommittedIsReadAndWhatIsAbortedIsNot(t *testing.T) {
	t.Parallel()
	topic := createTopic(t, 1)
	producer := transactional(t, unique("txn"))
	for _, end := range []string{"commit-1", "abort-1", "commit-2", "abort-2"} {
		must(t, producer.BeginTransaction())
		write(t, producer, topic, end)
		must(t, producer.EndTransaction(within(t), kgo.TransactionEndTry(end[:6] == "commit")))
	}
	produce(t, []*kgo.Record{{Topic: topic, Value: []byte("last")}})
	equal(t, "committed", []string{"commit-1", "commit-2", "last"}, committed(t, topic, 3))
}

func TestTheOldOneOfTwoProducersWithOneIdIsFenced(t *testing.T) {
	t.Parallel()
	topic, id := createTopic(t, 1), unique("txn")
	old, newer := transactional(t, id), transactional(t, id)
	must(t, old.BeginTransaction())
	write(t, old, topic, "old")
	must(t, newer.BeginTransaction())
	write(t, newer, topic, "new")
	err := old.EndTransaction(within(t), kgo.TryCommit)
	if !errors.Is(err, kerr.ProducerFenced) && !errors.Is(err, kerr.InvalidProducerEpoch) {
		t.Fatalf("the old producer hears %v", err)
	}
	must(t, newer.EndTransaction(within(t), kgo.TryCommit))
	equal(t, "committed", []string{"new"}, committed(t, topic, 1))
}

// A session consumes, transforms and produces: its offsets are the transaction's.
func TestASessionCommitsItsOffsetsWithItsTransaction(t *testing.T) {
	t.Parallel()
	source, target, group := createTopic(t, 1), createTopic(t, 1), unique("group")
	produce(t, numbered(source, 5, 1))
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(bootstrap(t)), kgo.TransactionalID(unique("txn")), kgo.ConsumerGroup(group), kgo.ConsumeTopics(source),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
	)
	must(t, err)
	t.Cleanup(session.Close)
	copied := 0
	for copied < 5 {
		fetches := session.PollFetches(within(t))
		must(t, session.Begin())
		fetches.EachRecord(func(record *kgo.Record) {
			session.Produce(within(t), &kgo.Record{Topic: target, Value: record.Value}, nil)
		})
		ended, err := session.End(within(t), kgo.TryCommit)
		must(t, err)
		if ended {
			copied += fetches.NumRecords()
		}
	}
	offsets, err := admin(t).FetchOffsets(within(t), group)
	must(t, err)
	offset, _ := offsets.Lookup(source, 0)
	equal(t, "committed offset", int64(5), offset.At)
	equal(t, "copied", []string{"0", "1", "2", "3", "4"}, committed(t, target, 5))
}

func TestTransactionsAreListedAndDescribed(t *testing.T) {
	t.Parallel()
	topic, id := createTopic(t, 1), unique("txn")
	producer := transactional(t, id)
	must(t, producer.BeginTransaction())
	write(t, producer, topic, "open")
	described, err := admin(t).DescribeTransactions(within(t), id)
	must(t, err)
	equal(t, "state and partitions", []any{"Ongoing", kadm.TopicsSet{topic: {0: {}}}}, []any{described[id].State, described[id].Topics})
	listed, err := admin(t).ListTransactions(within(t), []int64{described[id].ProducerID}, nil)
	must(t, err)
	equal(t, "listed", id, listed.TransactionalIDs()[0])
	must(t, producer.EndTransaction(within(t), kgo.TryAbort))
}
