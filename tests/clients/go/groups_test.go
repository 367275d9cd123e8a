package clients

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A member of a group, and what it owns now.
type member struct {
	*kgo.Client
	lock  sync.Mutex
	owned []int32
}

// Starts a member whose changes are told to `changed`.
func join(t *testing.T, topic, group string, changed chan<- struct{}, options ...kgo.Opt) *member {
	t.Helper()
	m := new(member)
	assigned := func(change func(partitions []int32)) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			m.lock.Lock()
			change(partitions[topic])
			m.lock.Unlock()
			changed <- struct{}{}
		}
	}
	revoke := assigned(func(partitions []int32) {
		m.owned = slices.DeleteFunc(m.owned, func(owned int32) bool { return slices.Contains(partitions, owned) })
	})
	m.Client = client(t, append(options,
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.OnPartitionsAssigned(assigned(func(partitions []int32) { m.owned = append(m.owned, partitions...) })),
		kgo.OnPartitionsRevoked(revoke), kgo.OnPartitionsLost(revoke))...)
	return m
}

// Waits until the members own the four partitions in these shares, most first, and each partition has one owner.
func untilShares(t *testing.T, changed <-chan struct{}, members []*member, expected ...int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		var all []int32
		var shares []int
		for _, m := range members {
			m.lock.Lock()
			all, shares = append(all, m.owned...), append(shares, len(m.owned))
			m.lock.Unlock()
		}
		slices.Sort(all)
		slices.Sort(shares)
		slices.Reverse(shares)
		if slices.Equal(all, []int32{0, 1, 2, 3}) && slices.Equal(shares, expected) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("not within %v: shares %v; they are %v", patience, expected, shares)
		}
	}
}

func TestMembersShareThePartitions(t *testing.T) {
	t.Parallel()
	balancers := map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "round-robin": kgo.RoundRobinBalancer(),
		"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
	}
	for name, balancer := range balancers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic, group, changed := createTopic(t, 4), unique("sharing"), make(chan struct{}, 1000)
			first := join(t, topic, group, changed, kgo.Balancers(balancer))
			untilShares(t, changed, []*member{first}, 4)
			second := join(t, topic, group, changed, kgo.Balancers(balancer))
			untilShares(t, changed, []*member{first, second}, 2, 2)
			second.Close()
			untilShares(t, changed, []*member{first}, 4)
		})
	}
}

func TestAGroupResumesWhereItCommitted(t *testing.T) {
	t.Parallel()
	topic, group, changed := createTopic(t, 1), unique("resume"), make(chan struct{}, 1000)
	produce(t, numbered(topic, 10, 1))
	first := join(t, topic, group, changed)
	records := take(t, first.Client, 10)
	must(t, first.CommitRecords(within(t), records[5]))
	first.Close()
	second := join(t, topic, group, changed)
	for i, got := range take(t, second.Client, 4) {
		equal(t, "offset", int64(6+i), got.Offset)
	}
}

func TestGroupsAreListedDescribedResetAndDeleted(t *testing.T) {
	t.Parallel()
	topic, group, changed := createTopic(t, 4), unique("described"), make(chan struct{}, 1000)
	produce(t, numbered(topic, 8, 4))
	administrator, one := admin(t), join(t, topic, group, changed)
	take(t, one.Client, 8)
	must(t, one.CommitUncommittedOffsets(within(t)))

	listed, err := administrator.ListGroups(within(t))
	must(t, err)
	equal(t, "protocol type", "consumer", listed[group].ProtocolType)
	described, err := administrator.DescribeGroups(within(t), group)
	must(t, err)
	equal(t, "group", "Stable cooperative-sticky go-tests",
		fmt.Sprintf("%s %s %s", described[group].State, described[group].Protocol, described[group].Members[0].ClientID))
	lags, err := administrator.Lag(within(t), group)
	must(t, err)
	equal(t, "lag", int64(0), lags[group].Lag.Total())
	_, err = administrator.DeleteGroup(within(t), group)
	equal(t, "deleting a group with members", kerr.NonEmptyGroup, err)
	one.Close()

	committed := func() map[int32]int64 {
		responses, err := administrator.FetchOffsets(within(t), group)
		must(t, err)
		offsets := map[int32]int64{}
		for partition, offset := range responses[topic] {
			offsets[partition] = offset.At
		}
		return offsets
	}
	equal(t, "committed", map[int32]int64{0: 2, 1: 2, 2: 2, 3: 2}, committed())
	ends, err := administrator.ListStartOffsets(within(t), topic)
	must(t, err)
	must(t, administrator.CommitAllOffsets(within(t), group, ends.Offsets()))
	equal(t, "committed after a reset", map[int32]int64{0: 0, 1: 0, 2: 0, 3: 0}, committed())
	_, err = administrator.DeleteGroup(within(t), group)
	must(t, err)
	equal(t, "committed after deletion", map[int32]int64{}, committed())
}
