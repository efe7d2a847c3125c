package command

import (
	"encoding/json"
	"errors"
	"path/filepath"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

// packs is the folder that libraries are installed in.
func (a *app) packs() string { return filepath.Join(a.home, "runtime") }

// accelerators makes a provider for each pack but the processor's. Nothing of
// it is started before it is asked for its devices, and installed.
func (a *app) accelerators(hint string) error {
	table, err := packs.Table(packs.Here())
	if errors.Is(err, engine.ErrUnsupported) {
		return nil // then ORT_LIB may still name a library for the processor
	}
	if err != nil {
		return err
	}
	for _, p := range table {
		if p.Kind == hardware.CPU {
			continue
		}
		spec, err := json.Marshal(p.ProviderIn(a.packs()))
		if err != nil {
			return err
		}
		a.others = append(a.others, runner.New(runner.Options{
			Name: p.Name, Kind: p.Kind, Accelerator: string(spec), Command: []string{a.native, "runner"}, Logger: a.log, Shared: a.sharing(p),
			RuntimeHint: packHint(hint, p.Name),
			Library: func() (string, error) {
				if err := p.Plausible(); err != nil {
					return "", err
				}
				return p.Library(a.packs())
			},
		}))
	}
	return nil
}

// sharing are the folders whose models share a runner where they run by a
// pack: the store's and the engine's own, of GPUs, whose drivers take hundreds
// of megabytes in each process.
func (a *app) sharing(p *packs.Pack) []string {
	if !p.Provider.GPU {
		return nil
	}
	own := filepath.Join(a.home, "engine")
	return []string{filepath.Join(a.home, "store", "models"), filepath.Join(own, "derived"), filepath.Join(own, "canary")}
}

// packHint says how a pack is installed, where hint says it of the processor's.
func packHint(hint, name string) string {
	install := installRuntime + " " + name
	if hint == installRuntime {
		return install
	}
	return "have a person " + install // there may be no shell where the server runs
}

func (a *app) closeRunners() error {
	err := a.runner.Close()
	for _, p := range a.others {
		err = errors.Join(err, p.Close())
	}
	return err
}
