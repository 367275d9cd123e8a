package clients

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	copiedPartitions = 4
	copiers          = 2
	perTransaction   = 750
	recordsPerKill   = 2_500
)

// OTTLA_COPIED_RECORDS: few in every run of the suite, 100,000 in a soak.
func copiedRecords(t *testing.T) int {
	set := os.Getenv("OTTLA_COPIED_RECORDS")
	if set == "" {
		return 8_000
	}
	count, err := strconv.Atoi(set)
	must(t, err)
	return count
}

// Copies in transactions until `stopping` ends, and the last one to its end; tells of each that was committed how many records it has.
func copyRecords(ctx, stopping context.Context, address, source, target, group, id string, copied chan<- int) error {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(address), kgo.TransactionalID(id), kgo.ConsumerGroup(group), kgo.ConsumeTopics(source),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.FetchMaxWait(100*time.Millisecond),
		// A killed coordinator may forget that a member left, and waits for it once more.
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(300*time.Millisecond),
		// Whatever it asks for while the broker is away, it asks again until that is back; Kafka takes its time.
		kgo.RequestRetries(math.MaxInt32), kgo.RetryTimeout(2*patience),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	for stopping.Err() == nil {
		fetches := session.PollRecords(stopping, perTransaction)
		if fetches.NumRecords() == 0 {
			continue // It tells of a broker that is away, and asks again by itself.
		}
		if err := session.Begin(); err != nil {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
		promise := kgo.AbortingFirstErrPromise(session.Client())
		fetches.EachRecord(func(record *kgo.Record) {
			session.Produce(ctx, &kgo.Record{Topic: target, Partition: record.Partition, Value: record.Value}, promise.Promise())
		})
		// Without an error and not committed: it was aborted, and is read again from the offsets of the one before.
		committed, err := session.End(ctx, kgo.TransactionEndTry(promise.Err() == nil))
		if err != nil {
			return fmt.Errorf("ending a transaction: %w", err)
		}
		if committed {
			copied <- fetches.NumRecords()
		}
	}
	return nil
}

func TestWhatSessionsCopiedIsThereOnceAndInOrderAfterTheBrokerWasKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	records, broker := copiedRecords(t), startBroker(t)
	own := kgo.SeedBrokers(broker.address)
	source, target := createTopicOn(t, broker.address, copiedPartitions), createTopicOn(t, broker.address, copiedPartitions)
	produce(t, numbered(source, records, copiedPartitions), own)

	committed, ended := make(chan int), make(chan error)
	var stops []context.CancelFunc
	start := func() {
		stopping, stop := context.WithCancel(t.Context())
		stops = append(stops, stop)
		go func() {
			ended <- copyRecords(t.Context(), stopping, broker.address, source, target, "copiers", unique("copier"), committed)
		}()
	}
	for range copiers {
		start()
	}
	copied, kills, running := 0, 0, copiers
	for copied < records {
		select {
		case more := <-committed:
			copied += more
		case err := <-ended:
			must(t, err)
			running--
		case <-time.After(patience):
			t.Fatalf("nothing is copied any more after %d records and %d kills", copied, kills)
		}
		if (kills+1)*recordsPerKill <= copied {
			// Nothing is awaited: the work that is under way is met in any of its stages.
			time.Sleep(rand.N(100 * time.Millisecond))
			broker.kill()
			broker.start(t)
			// Another takes over from what one has committed.
			stops[kills]()
			start()
			kills, running = kills+1, running+1
		}
	}
	for _, stop := range stops {
		stop()
	}
	for 0 < running {
		select {
		case more := <-committed:
			copied += more
		case err := <-ended:
			must(t, err)
			running--
		}
	}
	equal(t, "copied", records, copied)
	offsets, err := kadm.NewClient(client(t, own)).FetchOffsets(within(t), "copiers")
	must(t, err)
	for p := range copiedPartitions {
		offset, _ := offsets.Lookup(source, int32(p))
		equal(t, fmt.Sprintf("offset committed in partition %d", p), int64((records-p+copiedPartitions-1)/copiedPartitions), offset.At)
	}

	// Behind an open transaction the last ones would not be read.
	last := make([]*kgo.Record, copiedPartitions)
	for partition := range last {
		last[partition] = &kgo.Record{Topic: target, Partition: int32(partition), Value: []byte("last")}
	}
	produce(t, last, own)
	reader := client(t, own, kgo.ConsumeTopics(target), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	next, ends := [copiedPartitions]int{}, 0
	for p := range next {
		next[p] = p
	}
	for ends < copiedPartitions {
		for _, record := range take(t, reader, 1) {
			if string(record.Value) == "last" {
				ends++
				continue
			}
			equal(t, fmt.Sprintf("record at %d of partition %d", record.Offset, record.Partition), strconv.Itoa(next[record.Partition]), string(record.Value))
			next[record.Partition] += copiedPartitions
		}
	}
	for p, after := range next {
		if after-copiedPartitions >= records || after < records {
			t.Fatalf("partition %d ends before %d of %d", p, after, records)
		}
	}
	t.Logf("%d records by franz-go, %d kills", records, kills)
}
