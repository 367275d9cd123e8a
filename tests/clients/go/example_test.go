package clients

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const exampleFolder = "../../../examples/go"

// One of the programs, running; `lines` grows with what it prints.
type program struct {
	*exec.Cmd
	lock    sync.Mutex
	lines   []string
	printed chan<- struct{}
}

func startConsumer(t *testing.T, binary, group string, printed chan<- struct{}) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(binary, group), printed: printed}
	out, err := p.StdoutPipe()
	must(t, err)
	must(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill() })
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lock.Lock()
			p.lines = append(p.lines, lines.Text())
			p.lock.Unlock()
			p.printed <- struct{}{}
		}
	}()
	return p
}

// What the programs printed, each line once: a record may reach two members when the group rebalances in between.
func printed(programs ...*program) []string {
	var all []string
	for _, p := range programs {
		p.lock.Lock()
		all = append(all, p.lines...)
		p.lock.Unlock()
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// The programs in examples/go do what their README says: run as a user runs them, with lines typed into the producer.
func TestTheGoExample(t *testing.T) {
	t.Parallel()
	binaries := t.TempDir()
	build := exec.Command("go", "build", "-o", binaries, "./...")
	build.Dir = exampleFolder
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	run := func(name, typed string) string {
		command := exec.Command(filepath.Join(binaries, name))
		command.Stdin = strings.NewReader(typed)
		said, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, said)
		}
		return string(said)
	}
	administrator := admin(t)
	_, _ = administrator.DeleteTopic(within(t), "rider-updates") // What an earlier run left behind.
	equal(t, "admin", "created topic rider-updates with 2 partitions\n", run("admin", ""))
	equal(t, "admin again", "topic rider-updates is there already\n", run("admin", ""))
	untilLed(t, administrator, "rider-updates", 2)

	shared, other, changed := unique("user"), unique("user"), make(chan struct{}, 1000)
	var consumers []*program
	for _, group := range []string{shared, shared, other} {
		consumers = append(consumers, startConsumer(t, filepath.Join(binaries, "consumer"), group, changed))
	}
	typed := run("producer", "tony south\nann north\nnonsense\n\ntony north\n")
	if !strings.HasPrefix(typed, "> ") || !strings.Contains(typed, "a name and a location, please") {
		t.Fatalf("the producer said %q", typed)
	}
	expected := func(group string) []string {
		return []string{
			group + `: [rider-updates]: PART:0: {"riderName":"ann","location":"north"}`,
			group + `: [rider-updates]: PART:0: {"riderName":"tony","location":"north"}`,
			group + `: [rider-updates]: PART:1: {"riderName":"tony","location":"south"}`,
		}
	}
	for deadline := time.After(patience); !slices.Equal(printed(consumers[:2]...), expected(shared)) || !slices.Equal(printed(consumers[2]), expected(other)); {
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("not within %v; they printed %q and %q", patience, printed(consumers[:2]...), printed(consumers[2]))
		}
	}
	for _, consumer := range consumers {
		must(t, consumer.Process.Signal(syscall.SIGTERM))
		must(t, consumer.Wait())
	}
}
