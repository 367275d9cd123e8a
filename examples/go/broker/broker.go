// Package broker is the one place that knows where the broker is.
package broker

import (
	"log"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Topic is where riders report: partition 0 holds the north, partition 1 the south.
const Topic = "rider-updates"

// Connect makes a client with these options; it connects when it is first used.
func Connect(options ...kgo.Opt) *kgo.Client {
	address := os.Getenv("OTTLA_BOOTSTRAP")
	if address == "" {
		address = "127.0.0.1:9092"
	}
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(address), kgo.ClientID("rider-app"))...)
	if err != nil {
		log.Fatal(err)
	}
	return client
}
