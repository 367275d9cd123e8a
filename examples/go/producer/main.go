// Sends a rider's location for every line `NAME LOCATION`, for example `tony south`; ends with the input (Ctrl-D).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"ottla/examples/riders/broker"

	"github.com/twmb/franz-go/pkg/kgo"
)

type update struct {
	RiderName string `json:"riderName"`
	Location  string `json:"location"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("producer: ")
	// The program itself says which partition a record belongs to.
	producer := broker.Connect(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer producer.Close()

	fmt.Print("> ")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Print("> ") {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) >= 2:
			send(producer, update{words[0], words[1]})
		case len(words) == 1:
			fmt.Println("a name and a location, please: tony south")
		}
	}
}

func send(producer *kgo.Client, update update) {
	value, err := json.Marshal(update)
	if err != nil {
		log.Fatal(err)
	}
	record := &kgo.Record{Topic: broker.Topic, Partition: 1, Key: []byte(update.RiderName), Value: value}
	if strings.EqualFold(update.Location, "north") {
		record.Partition = 0
	}
	// Waits until the broker has taken the record.
	if err := producer.ProduceSync(context.Background(), record).FirstErr(); err != nil {
		log.Fatal(err)
	}
}
