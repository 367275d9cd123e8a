package clients

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// A broker process of a test's own, for tests that kill theirs: `ottla serve` on a folder and, after its first start, on one port.
type broker struct {
	folder  string
	address string
	process *exec.Cmd
}

// Starts one, which is gone when the test ends.
func startBroker(t *testing.T) *broker {
	t.Helper()
	started := &broker{folder: t.TempDir(), address: "127.0.0.1:0"}
	t.Cleanup(started.kill)
	started.start(t)
	return started
}

// Returns when it is ready.
func (b *broker) start(t *testing.T) {
	t.Helper()
	program := os.Getenv("OTTLA_BIN")
	if program == "" {
		t.Fatal("OTTLA_BIN names no broker to kill")
	}
	b.process = exec.Command(program, "serve", "--data-dir", b.folder, "--listen", b.address)
	output, err := b.process.StdoutPipe()
	must(t, err)
	must(t, b.process.Start())
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if found := address.FindString(lines.Text()); found != "" && strings.HasPrefix(lines.Text(), "ready") {
			b.address = found
			return
		}
	}
	t.Fatal("the broker ended before it was ready")
}

// SIGKILL, and waits until the process is gone.
func (b *broker) kill() {
	_ = b.process.Process.Kill() // Fails only when it is gone already.
	_ = b.process.Wait()
}
