package mcpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the transcripts")

// The protocol as text: what a client sends, and what it is answered.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { transcript(t, file) })
	}
}

func transcript(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil || len(a.Files) == 0 {
		t.Fatal(err)
	}
	c := dial(t, newServer(newFake()), time.Minute)
	var got bytes.Buffer
	for line := range strings.SplitSeq(strings.TrimSpace(string(a.Files[0].Data)), "\n") {
		c.send(line)
		var m struct{ ID, Method any }
		if json.Unmarshal([]byte(line), &m) == nil && m.ID == nil {
			continue // a notification is not answered
		}
		got.Write(c.receive())
	}
	c.close()
	if *update {
		a.Files = append(a.Files[:1], txtar.File{Name: "server", Data: got.Bytes()})
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.Files) < 2 {
		t.Fatal("no answers; go test ./mcpserver -update writes them")
	}
	if diff := cmp.Diff(string(a.Files[1].Data), got.String()); diff != "" {
		t.Errorf("%s (go test ./mcpserver -update accepts it):\n%s", file, diff)
	}
}

// A conn is a client on the streams of a server.
type conn struct {
	t    *testing.T
	in   *io.PipeWriter
	out  *bufio.Reader
	done chan error
}

// dial serves a client on streams.
func dial(t *testing.T, srv interface {
	ServeStdio(ctx context.Context, in io.Reader, out io.Writer, drain time.Duration) error
}, drain time.Duration,
) *conn {
	t.Helper()
	in, inW := io.Pipe()
	out, outW := io.Pipe()
	c := &conn{t, inW, bufio.NewReaderSize(out, 1<<20), make(chan error, 1)}
	go func() {
		err := srv.ServeStdio(t.Context(), in, outW, drain)
		outW.Close()
		c.done <- err
	}()
	t.Cleanup(func() { inW.Close() })
	return c
}

func (c *conn) send(lines ...string) {
	c.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(c.in, line+"\n"); err != nil {
			c.t.Fatal(err)
		}
	}
}

// receive reads one message.
func (c *conn) receive() []byte {
	c.t.Helper()
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	if !json.Valid(line) {
		c.t.Errorf("not JSON: %s", line)
	}
	return line
}

// close ends the input, waits for the server and returns what it still said.
func (c *conn) close() []string {
	c.t.Helper()
	c.in.Close()
	rest, err := io.ReadAll(c.out)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := <-c.done; err != nil {
		c.t.Errorf("served: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(rest), "\n"), "\n")
}
