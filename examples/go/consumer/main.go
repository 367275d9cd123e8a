// Prints every update that reaches this member of the group named on the command line; ends with Ctrl-C.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"ottla/examples/riders/broker"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("consumer: ")
	if len(os.Args) != 2 {
		log.Fatal("usage: consumer GROUP")
	}
	group := os.Args[1]
	consumer := broker.Connect(
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(broker.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // A group that has not committed yet begins here.
	)
	// Leaving by name hands the partitions to the other members at once; a killed member keeps them until its session ends.
	defer consumer.Close()

	running, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for running.Err() == nil {
		fetches := consumer.PollFetches(running)
		fetches.EachError(func(_ string, _ int32, err error) {
			if running.Err() == nil {
				log.Print(err)
			}
		})
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Printf("%s: [%s]: PART:%d: %s\n", group, record.Topic, record.Partition, record.Value)
		})
	}
}
