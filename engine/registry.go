package engine

import (
	"fmt"
	"maps"
	"slices"
)

// A Registry holds the plug-ins of one engine, by name. The program that
// builds the engine fills it; nothing registers itself. Registering a name
// twice panics: that is a mistake in the program, not in its input.
type Registry struct {
	providers map[string]ExecutionProvider
	tasks     map[string]Task
	workloads map[string]Workload
}

// RegisterProvider adds p.
func (r *Registry) RegisterProvider(p ExecutionProvider) {
	r.providers = register(r.providers, "execution provider", p.Name(), p)
}

// RegisterTask adds t.
func (r *Registry) RegisterTask(t Task) { r.tasks = register(r.tasks, "task", t.Name(), t) }

// RegisterWorkload adds w.
func (r *Registry) RegisterWorkload(w Workload) {
	r.workloads = register(r.workloads, "workload", w.Name(), w)
}

func register[P any](m map[string]P, kind, name string, p P) map[string]P {
	if _, dup := m[name]; dup {
		panic(fmt.Sprintf("engine: %s %q registered twice", kind, name))
	}
	if m == nil {
		m = make(map[string]P)
	}
	m[name] = p
	return m
}

// Providers returns the names of the registered execution providers, sorted.
func (r *Registry) Providers() []string { return slices.Sorted(maps.Keys(r.providers)) }

// Tasks returns the names of the registered tasks, sorted.
func (r *Registry) Tasks() []string { return slices.Sorted(maps.Keys(r.tasks)) }

// Workloads returns the names of the registered workloads, sorted.
func (r *Registry) Workloads() []string { return slices.Sorted(maps.Keys(r.workloads)) }
