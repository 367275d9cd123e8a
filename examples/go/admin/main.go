// Creates the topic `rider-updates` with two partitions: 0 for the north, 1 for the south.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"ottla/examples/riders/broker"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("admin: ")
	admin := kadm.NewClient(broker.Connect())
	defer admin.Close()
	switch _, err := admin.CreateTopic(context.Background(), 2, 1, nil, broker.Topic); {
	case errors.Is(err, kerr.TopicAlreadyExists):
		fmt.Printf("topic %s is there already\n", broker.Topic)
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Printf("created topic %s with 2 partitions\n", broker.Topic)
	}
}
