package clients

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestATopicIsCreatedGrownTrimmedAndDeleted(t *testing.T) {
	t.Parallel()
	topic, administrator := createTopic(t, 2), admin(t)
	_, err := administrator.CreateTopic(within(t), 2, 1, nil, topic)
	equal(t, "a second creation", kerr.TopicAlreadyExists, err)
	_, err = administrator.UpdatePartitions(within(t), 5, topic)
	must(t, err)
	untilLed(t, administrator, topic, 5)
	shrunk, err := administrator.UpdatePartitions(within(t), 3, topic)
	must(t, err)
	equal(t, "fewer partitions", kerr.InvalidPartitions, shrunk[topic].Err)

	produce(t, numbered(topic, 10, 1))
	trim := func(offset int64) kadm.DeleteRecordsResponse {
		var below kadm.Offsets
		below.AddOffset(topic, 0, offset, -1)
		responses, err := administrator.DeleteRecords(within(t), below)
		must(t, err)
		response, _ := responses.Lookup(topic, 0)
		return response
	}
	equal(t, "low watermark", int64(4), trim(4).LowWatermark)
	equal(t, "beyond the end", kerr.OffsetOutOfRange, trim(100).Err)
	equal(t, "first offset", int64(4), take(t, client(t, from(topic, 0, kgo.NewOffset().AtStart())), 6)[0].Offset)

	_, err = administrator.DeleteTopic(within(t), topic)
	must(t, err)
	_, err = administrator.DeleteTopic(within(t), topic)
	equal(t, "a second deletion", kerr.UnknownTopicOrPartition, err)
}

func TestTheConfigurationOfATopicIsAltered(t *testing.T) {
	t.Parallel()
	topic, administrator := createTopic(t, 1, "retention.ms", "1000000"), admin(t)
	value := func(key string) string {
		resources, err := administrator.DescribeTopicConfigs(within(t), topic)
		must(t, err)
		for _, config := range resources[0].Configs {
			if config.Key == key {
				return config.MaybeValue()
			}
		}
		return "nothing"
	}
	alter := func(change kadm.AlterConfig) error {
		altered, err := administrator.AlterTopicConfigs(within(t), []kadm.AlterConfig{change}, topic)
		must(t, err)
		return altered[0].Err
	}
	equal(t, "before", "1000000 delete", value("retention.ms")+" "+value("cleanup.policy"))
	must(t, alter(kadm.AlterConfig{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")}))
	must(t, alter(kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"}))
	eventually(t, "both changes are seen", func() bool { return value("retention.ms")+" "+value("cleanup.policy") == "604800000 delete,compact" })
	equal(t, "a bad value", kerr.InvalidConfig, alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("soon")}))
}

// A topic that is created again has another id; what still asks for the old one is told so.
func TestATopicIdNamesOneTopic(t *testing.T) {
	t.Parallel()
	topic, asking := createTopic(t, 1), client(t)
	administrator := kadm.NewClient(asking)
	topics, err := administrator.ListTopics(within(t), topic)
	must(t, err)
	old := topics[topic].ID
	request := kmsg.NewPtrDeleteTopicsRequest()
	named := kmsg.NewDeleteTopicsRequestTopic()
	named.TopicID = old
	request.Topics = append(request.Topics, named)
	deleted, err := request.RequestWith(within(t), asking)
	must(t, err)
	must(t, kerr.ErrorForCode(deleted.Topics[0].ErrorCode))
	created, err := administrator.CreateTopic(within(t), 1, 1, nil, topic)
	must(t, err)
	if created.ID == old || created.ID == (kadm.TopicID{}) {
		t.Fatalf("the new id is %v, the old one was %v", created.ID, old)
	}
	ask := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.TopicID = old
	ask.Topics = append(ask.Topics, asked)
	eventually(t, "UNKNOWN_TOPIC_ID for the old id", func() bool {
		answer, err := ask.RequestWith(within(t), asking)
		must(t, err)
		return kerr.ErrorForCode(answer.Topics[0].ErrorCode) == kerr.UnknownTopicID
	})
}

func TestTheLogFoldersAreDescribed(t *testing.T) {
	t.Parallel()
	topic := createTopic(t, 1)
	produce(t, numbered(topic, 100, 1))
	described, err := admin(t).DescribeAllLogDirs(within(t), kadm.TopicsSet{topic: {0: {}}})
	must(t, err)
	for _, folders := range described {
		must(t, folders.Error())
		partition, known := folders.LookupPartition(topic, 0)
		if !known || partition.Size < 100 {
			t.Fatalf("the folder knows %v of %s", partition, topic)
		}
	}
}

// Without an authorizer there is nothing to ask for.
func TestAccessControlListsAreDisabled(t *testing.T) {
	t.Parallel()
	everything := kadm.NewACLs().AnyResource().ResourcePatternType(kadm.ACLPatternAny).Operations(kadm.OpAny).Allow().Deny().AllowHosts().DenyHosts()
	described, err := admin(t).DescribeACLs(within(t), everything)
	if err == nil {
		err = described[0].Err
	}
	if !errors.Is(err, kerr.SecurityDisabled) {
		t.Fatalf("SECURITY_DISABLED, got %v", err)
	}
}
