package runner

import (
	"errors"
	"os/exec"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// command finds the program and library and returns what is to be started.
func (p *Provider) command() (*exec.Cmd, error) {
	o := p.options
	if len(o.Command) == 0 {
		return nil, p.nativeMissing(nil)
	}
	program, err := exec.LookPath(o.Command[0])
	if err != nil {
		return nil, p.nativeMissing(err)
	}
	args := append([]string{}, o.Command[1:]...)
	if o.Library != nil {
		library, err := o.Library()
		if err != nil {
			return nil, p.runtimeMissing(err)
		}
		args = append(args, "--library", library)
	}
	if o.Accelerator != "" {
		args = append(args, "--provider", o.Accelerator)
	}
	for _, dir := range o.Shared {
		args = append(args, "--shared", dir)
	}
	if err := p.makeShared(); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...) //nolint:noctx // a child outlives the call that starts it
	// Freed memory of large tensors goes back to the system at once.
	cmd.Env = append(cmd.Environ(), "MALLOC_MMAP_THRESHOLD_=131072")
	// A runner's Go code only passes tensors on; with more processors its
	// scheduler would wake threads that compete with those that compute.
	cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	cmd.Env = append(cmd.Env, o.Env...)
	return cmd, nil
}

func (p *Provider) nativeMissing(err error) error {
	e := engine.Errorf(engine.ErrNativeMissing, "the program that runs models, ipfs-accelerate-native, is not to be found")
	e.Err, e.Hint = err, p.options.NativeHint
	if e.Hint == "" {
		e.Hint = "put ipfs-accelerate-native beside this program or on PATH, or name it in IPFS_ACCELERATE_NATIVE"
	}
	return e
}

// runtimeMissing adds the hint of the options to an error that has none.
func (p *Provider) runtimeMissing(err error) error {
	var e *engine.Error
	if !errors.As(err, &e) || e.Hint != "" || p.options.RuntimeHint == "" {
		return err
	}
	hinted := *e
	hinted.Hint = p.options.RuntimeHint
	return &hinted
}
