package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// maxLine bounds what a host may say before it is ready, in bytes.
const maxLine = 4 << 10

// start starts a host process and waits until it is ready, or another is the
// host. The process is nobody's child in spirit: a signal to this one's group
// does not reach it, its output is a file, and it ends by itself.
func (c *Client) start(ctx context.Context) error {
	if len(c.o.Command) == 0 {
		return errors.New("its program is not known")
	}
	config, err := json.Marshal(c.o.Config)
	if err != nil {
		return err
	}
	log, err := openLog(filepath.Join(c.o.Config.Home, LogFile))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.o.Command[0], c.o.Command[1:]...) //nolint:noctx // it outlives this call, and may outlive this process
	cmd.Stderr, cmd.SysProcAttr = log, apart()
	in, said, err := pipes(cmd)
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err // which closes the pipes
	}
	line := make(chan string, 1)
	go func() { // ends with the process
		_, _ = io.Copy(in, bytes.NewReader(config)) // what it lacks, it says
		in.Close()
		text, _ := bufio.NewReader(io.LimitReader(said, maxLine)).ReadString('\n')
		line <- strings.TrimSpace(text)
		_ = cmd.Wait() // how it ends is in its log
	}()
	select {
	case text := <-line:
		return verdict(text)
	case <-ctx.Done():
		return errors.Join(ctx.Err(), cmd.Process.Kill())
	}
}

const maxLog = 1 << 20

// openLog opens the log of hosts, which begins anew when it has grown.
func openLog(path string) (*os.File, error) {
	how := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		how |= os.O_TRUNC
	}
	return os.OpenFile(path, how, 0o600)
}

func pipes(cmd *exec.Cmd) (in io.WriteCloser, out io.ReadCloser, err error) {
	if in, err = cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		return nil, nil, errors.Join(err, in.Close())
	}
	return in, out, nil
}

// verdict is what the first line of a host means.
func verdict(line string) error {
	switch line {
	case Ready, Taken:
		return nil
	case "":
		return fmt.Errorf("the host ended at once; %s says why", LogFile)
	}
	return errors.New(line)
}
