package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

// templateTime is how long a chat template may take, the start of its process
// included.
const templateTime = 5 * time.Second

// renderer renders chat templates in a process of their own: they come with
// models, from anyone.
func renderer(native string) tasks.Renderer {
	return func(ctx context.Context, template string, variables map[string]any) (string, error) {
		in, err := json.Marshal(map[string]any{"template": template, "variables": variables})
		if err != nil {
			return "", err
		}
		limited, cancel := context.WithTimeout(ctx, templateTime)
		defer cancel()
		cmd := exec.CommandContext(limited, native, "template")
		var out, printed bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(in), &out, &printed, time.Second
		err = cmd.Run()
		switch {
		case err == nil:
			return out.String(), nil
		case ctx.Err() != nil:
			return "", ctx.Err()
		case errors.Is(err, exec.ErrNotFound):
			return "", engine.Errorf(engine.ErrNativeMissing, "ipfs-accelerate-native, which renders chat templates, is not to be found")
		}
		return "", engine.Errorf(engine.ErrModelInvalid, "the model's chat template can't be rendered: %s", templateFault(printed.String(), err)).
			WithHint("pass \"parameters\": {\"raw\": true} to go on with a text without it")
	}
}

// templateFault is what the process said last, or how it ended.
func templateFault(printed string, err error) string {
	const most = 300
	first, _, _ := strings.Cut(strings.TrimSpace(printed), "\n")
	if first == "" || strings.HasPrefix(first, "SIG") || strings.HasPrefix(first, "fatal error") {
		return "it takes too long or too much memory (" + err.Error() + ")"
	}
	return first[:min(len(first), most)]
}
